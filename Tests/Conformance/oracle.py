"""What the real llama.cpp computes: tokens, every node of every pass, logits and a greedy continuation.

Runs llama.cpp's CPU backend through the PyPI package `llama-cpp-python` 0.3.36, flash attention off. A process of its
own: its libggml and that of `libggml-python` carry the same library name and must not meet in one process.

llama.cpp pads the attended KV length to 256; here the padding is removed, so that shapes are those of the positions
that exist.

    python3 Tests/Conformance/oracle.py MODEL.gguf --prompt TEXT --tsv FILE    # one line a node, as in Fixtures/golden
    python3 Tests/Conformance/oracle.py MODEL.gguf --prompt TEXT --npz FILE    # every value
    python3 Tests/Conformance/oracle.py MODEL.gguf --passes '[[1,2,3],[4]]' --npz FILE
"""

import argparse
import ctypes as C
import glob
import json
import os

import llama_cpp
import numpy as np

import kv_padding

CELLS = 512


class Tensor(C.Structure):
    _fields_ = [
        ("type", C.c_int32), ("buffer", C.c_void_p), ("ne", C.c_int64 * 4), ("nb", C.c_size_t * 4),
        ("op", C.c_int32), ("op_params", C.c_int32 * 16), ("flags", C.c_int32), ("src", C.c_void_p * 10),
        ("view_src", C.c_void_p), ("view_offs", C.c_size_t), ("data", C.c_void_p), ("name", C.c_char * 64),
        ("extra", C.c_void_p), ("padding", C.c_char * 8),
    ]


_ggml = C.CDLL(glob.glob(os.path.join(os.path.dirname(llama_cpp.__file__), "lib", "libggml-base.so*"))[0])
_ggml.ggml_op_desc.restype = C.c_char_p
_ggml.ggml_op_desc.argtypes = [C.c_void_p]
_PLAIN = {0: np.float32, 1: np.float16, 26: np.int32, 27: np.int64}


def _values(tensor):
    """A copy in numpy order (ne reversed); copied at once, because the scheduler reuses the memory."""
    if tensor.type not in _PLAIN or not tensor.data:
        return None
    ne, nb, dtype = list(tensor.ne), list(tensor.nb), np.dtype(_PLAIN[tensor.type])
    span = sum((n - 1) * s for n, s in zip(ne, nb, strict=True)) + dtype.itemsize
    memory = (C.c_char * span).from_address(tensor.data)
    return np.array(np.ndarray(ne[::-1], dtype, memory, strides=nb[::-1]))


class Session:
    """A model with a context, whose graph evaluations can be recorded."""

    def __init__(self, path, threads=2):
        self.nodes = None  # while recording: a list of (op, name, sources, values)
        self.past = 0

        @llama_cpp.ggml_backend_sched_eval_callback
        def watch(pointer, ask, _):
            if not ask and self.nodes is not None:
                t = Tensor.from_address(pointer)
                sources = [Tensor.from_address(s).name.decode() for s in t.src if s]
                self.nodes.append((_ggml.ggml_op_desc(pointer).decode(), t.name.decode(), sources, _values(t)))
            return True

        self._watch = watch
        self._quiet = llama_cpp.llama_log_callback(lambda *_: None)
        llama_cpp.llama_log_set(self._quiet, None)
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        assert self._model, f"llama.cpp refuses {path}"
        self._vocabulary = llama_cpp.llama_model_get_vocab(self._model)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(self._vocabulary)
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = CELLS
        parameters.n_threads = parameters.n_threads_batch = threads
        parameters.flash_attn_type = 0
        parameters.cb_eval = watch
        self._context = llama_cpp.llama_init_from_model(self._model, parameters)

    def tokenize(self, text):
        raw = text.encode()
        buffer = (llama_cpp.llama_token * (len(raw) + 16))()
        n = llama_cpp.llama_tokenize(self._vocabulary, raw, len(raw), buffer, len(buffer), True, True)
        return list(buffer[:n])

    def evaluate(self, tokens):
        """Logits of the last position after feeding `tokens`."""
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)  # must outlive the batch, which points into it
        assert llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(ids, len(tokens))) == 0
        self.past += len(tokens)
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, -1), (self.n_vocab,)).copy()

    def record(self, tokens):
        """`evaluate`, and the nodes of the pass as (op, name, sources, values), without KV padding."""
        self.nodes = []
        logits = self.evaluate(tokens)
        nodes, self.nodes = self.nodes, None
        return logits, [
            (op, name, sources, None if v is None else kv_padding.removed(op, name, v, self.past))
            for op, name, sources, v in nodes
        ]

    def greedy(self, logits, n):
        """`n` most likely tokens, one after another, and by how much each beat the second."""
        tokens, margins = [], []
        for _ in range(n):
            second, first = np.sort(logits)[-2:]
            tokens.append(int(logits.argmax()))
            margins.append(round(float(first - second), 4))
            logits = self.evaluate(tokens[-1:])
        return tokens, margins


def write_tsv(path, prompt, tokens, logits, continuation, nodes):
    top = np.argsort(-logits, kind="stable")[:10]
    shifted = logits.astype(np.float64) - logits.max()
    facts = {
        "prompt": prompt, "tokens": tokens, "top10": [[int(i), round(float(logits[i]), 5)] for i in top],
        "logsumexp": round(float(logits.max() + np.log(np.exp(shifted).sum())), 5),
        "greedy8": continuation[0], "margin8": continuation[1],
    }
    with open(path, "w") as file:
        for key, value in facts.items():
            print(f"# {key}\t{json.dumps(value)}", file=file)
        print("seq\top\tname\tne\tsum\trms\tmin\tmax\tsrc", file=file)
        for i, (op, name, sources, values) in enumerate(nodes):
            x = values[np.isfinite(values)].astype(np.float64)  # without the -inf of experts that were not chosen
            moments = (x.sum(), np.sqrt((x * x).mean()), x.min(), x.max()) if x.size else (0, 0, 0, 0)
            numbers = [f"{v:.7g}" for v in moments]
            print(i, op, name, "x".join(map(str, values.shape[::-1])), *numbers, ",".join(sources), sep="\t", file=file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--prompt", default="")
    parser.add_argument("--passes", type=json.loads, help="token ids of each pass, instead of the prompt's in one pass")
    parser.add_argument("--npz")
    parser.add_argument("--tsv")
    options = parser.parse_args()
    session = Session(options.model)
    tokens = session.tokenize(options.prompt)
    passes = [session.record(ids) for ids in options.passes or [tokens]]
    if options.tsv:
        logits, nodes = passes[-1]
        write_tsv(options.tsv, options.prompt, tokens, logits, session.greedy(logits, 8), nodes)
    if options.npz:
        names = [[[op, name, sources] for op, name, sources, _ in nodes] for _, nodes in passes]
        values = {f"{p}.{i}": node[3] for p, (_, nodes) in enumerate(passes) for i, node in enumerate(nodes)}
        np.savez(
            options.npz, tokens=np.array(tokens), nodes=json.dumps(names),
            logits=np.array([logits for logits, _ in passes]), **{k: v for k, v in values.items() if v is not None})


if __name__ == "__main__":
    main()
