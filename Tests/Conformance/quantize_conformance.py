#!/usr/bin/env python3
"""Compares `quipu quantize` with llama.cpp's own quantiser: every tensor's type and bytes, and the whole file.

    pip install -r requirements.txt && ../../scripts/build_llama.py package python3
    python3 quantize_conformance.py --quipu ../../.build/release/quipu
    python3 quantize_conformance.py --quipu ../../.build/release/quipu --speed 20    # and a race on 20 layers

Every file type that the program can write, of every model of `models.QUANTIZE`, with and without an importance matrix;
the options that choose types, importances and metadata; quantising again; copying. llama.cpp, called through
`llama-cpp-python`, must also load what the program wrote. Exit status 0 if everything is equal, 1 if not.
"""

import argparse
import ctypes as C
import dataclasses
import filecmp
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import gguf
import llama_cpp as llama
import numpy as np

import models

FILE_TYPES = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11, "Q3_K_M": 12,
    "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18, "Q2_K_S": 21, "BF16": 32,
    "IQ2_XXS": 19, "IQ2_XS": 20, "IQ3_XS": 22, "IQ3_XXS": 23, "IQ1_S": 24, "IQ4_NL": 25, "IQ3_S": 26, "IQ3_M": 27,
    "IQ2_S": 28, "IQ2_M": 29, "IQ4_XS": 30, "IQ1_M": 31, "TQ1_0": 36, "TQ2_0": 37, "MXFP4_MOE": 38, "Q1_0": 40,
    "Q2_0": 41,
}
REQUIRED = {name for name in FILE_TYPES if name[0] not in "IT" and name not in ("MXFP4_MOE", "Q1_0", "Q2_0")}


class Reference:
    """llama.cpp's quantiser and loader."""

    def __init__(self):
        self.log = []
        self._callback = llama.llama_log_callback(lambda level, text, _: self.log.append(text.decode(errors="replace")))
        llama.llama_log_set(self._callback, C.c_void_p(0))
        llama.llama_backend_init()

    def quantize(self, path, output, name, importance=None, overrides=(), metadata=(), threads=2, **fields):
        """Whether llama.cpp wrote `output`; the reason is in the log."""
        self.log.clear()
        parameters = llama.llama_model_quantize_default_params()
        parameters.nthread = threads
        parameters.ftype = FILE_TYPES.get(name, 0)
        parameters.only_copy = name == "COPY"
        for field, value in fields.items():
            setattr(parameters, field, value)
        kept = []  # what the structure points to
        if importance:
            entries = (llama.llama_model_imatrix_data * (len(importance) + 1))()
            for entry, (tensor, values) in zip(entries, importance.items(), strict=False):
                entry.name, entry.size = tensor.encode(), values.size
                entry.data = values.ctypes.data_as(C.POINTER(C.c_float))
            kept.append(entries)
            parameters.imatrix = C.cast(entries, type(parameters.imatrix))
        if overrides:
            pairs = (llama.llama_model_tensor_override * (len(overrides) + 1))()
            for pair, (pattern, type_name) in zip(pairs, overrides, strict=False):
                pair.pattern, pair.type = pattern.lower().encode(), TYPES[type_name]
            kept.append(pairs)
            parameters.tt_overrides = C.cast(pairs, type(parameters.tt_overrides))
        if metadata:
            entries = (llama.llama_model_kv_override * (len(metadata) + 1))()  # ends with an empty key
            for entry, (key, kind, value) in zip(entries, metadata, strict=False):
                (entry.tag, field), entry.key = KV_KINDS[kind], key.encode()
                setattr(entry.value, field, value)
            kept.append(entries)
            parameters.kv_overrides = C.cast(entries, type(parameters.kv_overrides))
        return llama.llama_model_quantize(path.encode(), output.encode(), C.byref(parameters)) == 0

    def loads(self, path):
        model = llama.llama_model_load_from_file(path.encode(), llama.llama_model_default_params())
        if model:
            llama.llama_model_free(model)
        return bool(model)


# kind of --override-kv: tag and field of the structure
KV_KINDS = {
    "int": (llama.LLAMA_KV_OVERRIDE_TYPE_INT, "val_i64"), "float": (llama.LLAMA_KV_OVERRIDE_TYPE_FLOAT, "val_f64"),
    "bool": (llama.LLAMA_KV_OVERRIDE_TYPE_BOOL, "val_bool"), "str": (llama.LLAMA_KV_OVERRIDE_TYPE_STR, "val_str"),
}


class _Parameters(C.Structure):  # gguf_init_params
    _fields_ = [("no_alloc", C.c_bool), ("context", C.c_void_p)]


def _ggml_base():
    """The library that llama.cpp itself quantises with; it also reads types that the package `gguf` has no name for."""
    library = C.CDLL(os.path.join(os.path.dirname(llama.__file__), "lib", "libggml-base.so"))
    functions = {
        "gguf_init_from_file": (C.c_void_p, [C.c_char_p, _Parameters]), "gguf_free": (None, [C.c_void_p]),
        "gguf_get_n_tensors": (C.c_int64, [C.c_void_p]), "gguf_get_data_offset": (C.c_size_t, [C.c_void_p]),
        "gguf_get_tensor_name": (C.c_char_p, [C.c_void_p, C.c_int64]), "ggml_type_name": (C.c_char_p, [C.c_int]),
        "gguf_get_tensor_type": (C.c_int, [C.c_void_p, C.c_int64]),
        "gguf_get_tensor_offset": (C.c_size_t, [C.c_void_p, C.c_int64]),
        "gguf_get_tensor_size": (C.c_size_t, [C.c_void_p, C.c_int64]),
    }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


GGML = _ggml_base()
TYPES = {GGML.ggml_type_name(id).decode().upper(): id for id in range(43) if GGML.ggml_type_name(id)}


def tensors_of(path):
    """name: (type, offset in the file, bytes) of every tensor, in the file's order."""
    file = GGML.gguf_init_from_file(path.encode(), _Parameters(True, None))
    if not file:
        raise SystemExit(f"ggml cannot read {path}")
    start, memory, result = GGML.gguf_get_data_offset(file), np.memmap(path, np.uint8, "r"), {}
    for i in range(GGML.gguf_get_n_tensors(file)):
        offset, size = start + GGML.gguf_get_tensor_offset(file, i), GGML.gguf_get_tensor_size(file, i)
        type = GGML.ggml_type_name(GGML.gguf_get_tensor_type(file, i)).decode().upper()
        result[GGML.gguf_get_tensor_name(file, i).decode()] = type, offset, memory[offset:offset + size]
    GGML.gguf_free(file)
    return result


def write_importance(model, path):
    """Random importances of a model's matrices: writes the file, returns what quantisers make of it."""
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["random.txt"])
    writer.add_uint32("imatrix.chunk_count", 4)
    writer.add_uint32("imatrix.chunk_size", 512)
    random, result = np.random.default_rng(7), {}
    for tensor in gguf.GGUFReader(model).tensors:
        ne = [int(n) for n in tensor.shape] + [1]
        if tensor.name.startswith("blk.") and len(tensor.shape) > 1:
            sums = np.exp(3 * random.standard_normal((ne[2], ne[0]), np.float32)) * np.float32(100)
            counts = random.integers(0 if ne[2] > 1 else 100, 3000, (ne[2], 1)).astype(np.float32)
            counts[:1] = 0 if ne[2] > 1 else counts[:1]  # an expert that was never chosen
            writer.add_tensor(tensor.name + ".in_sum2", sums)
            writer.add_tensor(tensor.name + ".counts", counts)
            means = np.where(counts > 0, sums / np.maximum(counts, np.float32(1)), np.float32(1))
            result[tensor.name] = np.ascontiguousarray(means, np.float32).reshape(-1)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return result


@dataclasses.dataclass
class Case:
    """One way to quantise, for both sides."""

    type: str
    options: tuple = ()  # of the program
    fields: dict = dataclasses.field(default_factory=dict)  # of llama_model_quantize_params
    overrides: tuple = ()
    metadata: tuple = ()  # (key, kind, value)
    type_file: str = ""  # the text of a --tensor-type-file
    include: tuple = ()  # parts of the names of tensors whose importances count
    exclude: tuple = ()
    loads: bool = True  # whether the result is a model

    def importance(self, entries):
        """What llama-quantize hands to llama.cpp of an importance matrix, by name."""
        return {
            name: values for name, values in entries.items()
            if not any(part in name for part in self.exclude)
            and (not self.include or any(part in name for part in self.include))}

    def __str__(self):
        facts = [f"{key}={value}" for key, _, value in self.metadata] + [self.type_file and "--tensor-type-file"]
        facts += [f"+{part}" for part in self.include] + [f"-{part}" for part in self.exclude]
        return " ".join([self.type, *self.options, *filter(None, facts)])


def option_cases():
    def override(type, *pairs):
        options = tuple(word for pattern, t in pairs for word in ("--tensor-type", f"{pattern}={t.lower()}"))
        return Case(type, options, overrides=pairs)

    yield Case("COPY")
    for type in ("Q4_K_M", "Q6_K", "Q5_1", "F16"):
        yield Case(type, ("--pure",), {"pure": True})
    yield Case("Q4_K_M", ("--leave-output-tensor",), {"quantize_output_tensor": False})
    yield Case("Q4_0", ("--output-tensor-type", "q8_0"), {"output_tensor_type": TYPES["Q8_0"]})
    yield Case("Q4_0", ("--token-embedding-type", "Q5_0"), {"token_embedding_type": TYPES["Q5_0"]})
    yield Case("F16", ("--token-embedding-type", "Q8_0"), {"token_embedding_type": TYPES["Q8_0"]})
    yield override("Q4_K_M", (r"blk\.[0-3]\.attn_v", "Q8_0"), ("ATTN", "Q3_K"), ("attn_q", "F16"))
    yield override("Q5_K_M", ("ffn_down|token_embd", "Q2_K"))
    yield override("Q3_K_M", (r"blk\.1\.attn_v\.weight$", "BF16"))
    yield override("F16", ("attn", "Q8_0"))
    pairs = (("attn_k", "Q8_0"), ("blk\\.[1-2]\\.ffn_", "Q5_1"), ("FFN", "Q5_0"))
    spaces = (" \t", "\n\n", "\n")
    text = "".join(f"{pattern}={type}{space}" for (pattern, type), space in zip(pairs, spaces, strict=True))
    yield Case("Q4_0", overrides=pairs, type_file=text)
    text, first = text.replace("\n", " "), ("attn_k", "Q4_1")
    yield Case("Q4_0", ("--tensor-type", "attn_k=Q4_1"), overrides=(first, *pairs), type_file=text)
    # The number of layers, and of heads that share, decide on tensors; keys that are there and new ones go to the end.
    layers = ("llama.block_count", "int", 24), ("llama.attention.head_count_kv", "int", 1)
    for type in ("Q2_K", "Q4_K_M", "F16", "COPY"):
        yield Case(type, metadata=layers, loads=False)
    yield Case("Q5_0", metadata=(
        ("general.name", "str", "another = name: \u00fc"), ("llama.rope.freq_base", "float", 12345.678),
        ("new.key", "bool", True), ("general.quantization_version", "int", 7), ("new.key", "bool", False),
        ("general.file_type", "int", 4294967295)))


def importance_cases():
    for type in ("Q2_K", "Q4_K_S", "IQ4_NL", "IQ2_S"):
        yield Case(type, include=("attn_output", "blk.1."))
        yield Case(type, exclude=("ffn_", "attn_output"))
    yield Case("Q4_0", exclude=("blk.",))


class Comparison:
    def __init__(self, quipu, reference, folder):
        self.quipu, self.reference, self.folder = os.path.abspath(quipu), reference, folder
        self.files = self.tensors = self.identical = self.skipped = 0
        self.failures = []

    def run_quipu(self, model, output, case, importance_path=None, threads=2):
        command = [self.quipu, "quantize", model, output, case.type, *case.options]
        command += ["--force", "--threads", str(threads), "--json"]
        command += ["--imatrix", importance_path] if importance_path else []
        for key, kind, value in case.metadata:
            command += ["--override-kv", f"{key}={kind}:{str(value).lower() if kind == 'bool' else value}"]
        if case.type_file:
            path = os.path.join(self.folder, "types.txt")
            with open(path, "w") as file:
                file.write(case.type_file)
            command += ["--tensor-type-file", path]
        for option, parts in (("--include-weights", case.include), ("--exclude-weights", case.exclude)):
            command += [word for part in parts for word in (option, part)]
        return subprocess.run(command, capture_output=True, text=True)

    def check(self, model, case, importance=None, importance_path=None):
        ours, theirs = os.path.join(self.folder, "ours.gguf"), os.path.join(self.folder, "theirs.gguf")
        label = f"{os.path.basename(model)} {case}" + (" --imatrix" if importance else "")
        for path in (ours, theirs):
            if os.path.exists(path):
                os.remove(path)
        metadata = [(key, kind, v.encode() if kind == "str" else v) for key, kind, v in case.metadata]
        done = self.reference.quantize(
            model, theirs, case.type, importance=case.importance(importance or {}), overrides=case.overrides,
            metadata=metadata, **case.fields)
        result = self.run_quipu(model, ours, case, importance_path)
        if not done:
            reason = "".join(line for line in self.reference.log if "failed" in line).strip()
            if result.returncode == 1 and not os.path.exists(ours):
                self.skipped += 1
            else:
                self.fail(f"{label}: llama.cpp refuses ({reason}), quipu ends with {result.returncode}")
            return None
        if result.returncode != 0:
            return self.fail(f"{label}: {result.stderr.strip()}")
        self.files += 1
        self.compare(label, ours, theirs, with_metadata=not importance)
        if case.loads and not self.reference.loads(ours):
            self.fail(f"{label}: llama.cpp does not load the file")

    def must_refuse(self, model, case, word, output="refused.gguf", status=1, threads=2):
        """The program must end with a message that holds a word, and leave no file."""
        output = os.path.join(self.folder, output)
        result = self.run_quipu(model, output, case, threads=threads)
        lines = [line for line in result.stderr.splitlines() if line]
        if result.returncode != status or word not in result.stderr or (status == 1 and len(lines) != 1):
            got = f"{result.returncode}: {result.stderr}"
            self.fail(f"{os.path.basename(model)} {case}: expected a refusal with '{word}', got {got}")
        left = [name for name in os.listdir(self.folder) if name.startswith("refused")]
        if left:
            self.fail(f"{os.path.basename(model)} {case}: left {left} behind")
        self.skipped += 1

    def check_errors(self, model):
        """Command lines that must not work, and what must be untouched after."""
        before = os.path.getsize(model), os.path.getmtime(model)
        self.must_refuse(model, Case("Q4_9"), "Q4_K_M")
        self.must_refuse(model, Case("Q4_0"), "another name", output=os.path.basename(model))
        link = os.path.join(self.folder, "link.gguf")
        os.link(model, link)
        self.must_refuse(model, Case("Q4_0"), "another name", output="link.gguf")
        os.remove(link)
        self.must_refuse(model, Case("Q4_0", ("--tensor-type", "attn_v")), "REGEX=TYPE")
        self.must_refuse(model, Case("Q4_0", ("--tensor-type", "(=Q4_0")), "regular expression")
        self.must_refuse(model, Case("Q4_0", ("--output-tensor-type", "Q8_K")), "no type")
        self.must_refuse(model, Case("Q4_0", ("--imatrix", model)), "llama-imatrix")
        self.must_refuse(model, Case("Q4_0", ("--imatrix", "missing.gguf")), "missing.gguf")
        self.must_refuse(model, Case("Q4_0", ("--tensor-type-file", "missing.txt")), "missing.txt")
        self.must_refuse(model, Case("Q4_0", type_file="attn_q=Q8_0\nattn_k=Q9_0\n"), "line 2")
        for text in ("key", "=int:1", "key=int", "key=int:-1", "key=int:1x", "key=float:y", "key=bool:1", "key=u8:1"):
            self.must_refuse(model, Case("Q4_0", ("--override-kv", text)), "KEY=int:N")
        self.must_refuse(model, Case("Q4_0", ("--override-kv", "general.alignment=int:64")), "general.alignment")
        self.must_refuse(model, Case("Q4_0", ("--include-weights", "attn")), "--imatrix", status=64)
        self.must_refuse(model, Case("Q4_0"), "1 to 1024", status=64, threads=0)
        self.must_refuse(model, Case("Q4_0"), "refused", output="refused/no/folder.gguf")
        self.must_refuse("missing.gguf", Case("Q4_0"), "missing.gguf")
        taken = os.path.join(self.folder, "taken.gguf")
        with open(taken, "w") as file:
            file.write("mine")
        result = subprocess.run([self.quipu, "quantize", model, taken, "Q4_0"], capture_output=True, text=True)
        if result.returncode != 1 or "--force" not in result.stderr or pathlib.Path(taken).read_text() != "mine":
            self.fail(f"an existing file: {result.returncode}: {result.stderr}")
        if (os.path.getsize(model), os.path.getmtime(model)) != before:
            self.fail(f"{model} was touched")

    def compare(self, label, ours, theirs, with_metadata):
        left, right = tensors_of(ours), tensors_of(theirs)
        if list(left) != list(right):
            return self.fail(f"{label}: other tensors, or another order")
        for name, (type, offset, data) in left.items():
            self.tensors += 1
            other_type, _, other = right[name]
            if type != other_type:
                self.fail(f"{label}: {name} is {type}, llama.cpp writes {other_type}")
            elif len(data) != len(other) or offset % 32 != 0:
                self.fail(f"{label}: {name} has {len(data)} bytes at {offset}, llama.cpp writes {len(other)}")
            elif not np.array_equal(data, other):
                wrong = np.flatnonzero(data != other)
                self.fail(f"{label}: {name} ({type}): {len(wrong)} bytes differ, the first at {wrong[0]}")
        if with_metadata:
            # Keys, padding and all.
            if filecmp.cmp(ours, theirs, shallow=False):
                self.identical += 1
            else:
                self.fail(f"{label}: the files differ outside their tensors")

    def fail(self, message):
        self.failures.append(message)
        print(f"  DIFFERENT {message}", flush=True)


def available(quipu):
    """The file types that the program writes, as it says itself."""
    command = [quipu, "quantize", "missing.gguf", "out.gguf", "NONE"]
    text = subprocess.run(command, capture_output=True, text=True).stderr
    known = {word.strip(" ,.\n") for word in text.split("known are")[-1].split(",")}
    return [name for name in FILE_TYPES if name in known]


def race(comparison, layers):
    """Q4_K_M of a random F16 model, both with two threads, in turns; the better of two runs each."""
    recipe = models.Recipe(
        "race", "F16", layers=layers, embedding=1024, heads=16, kv_heads=4, head_size=64, feed_forward=2816)
    model = models.write(recipe, comparison.folder)
    ours, theirs = os.path.join(comparison.folder, "ours.gguf"), os.path.join(comparison.folder, "theirs.gguf")
    n = sum(int(t.n_elements) for t in gguf.GGUFReader(model).tensors)
    seconds = {"quipu": [], "llama.cpp": []}
    for _ in range(2):
        start = time.monotonic()
        comparison.run_quipu(model, ours, Case("Q4_K_M"))
        seconds["quipu"].append(time.monotonic() - start)
        start = time.monotonic()
        comparison.reference.quantize(model, theirs, "Q4_K_M")
        seconds["llama.cpp"].append(time.monotonic() - start)
    comparison.compare("race", ours, theirs, with_metadata=True)
    for name, times in seconds.items():
        rate = n / 1e6 / min(times)
        print(f"Q4_K_M of {n / 1e6:.0f} M weights, 2 threads, {name}: {min(times):.2f} s, {rate:.1f} M weights/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quipu", required=True)
    parser.add_argument("--speed", type=int, metavar="LAYERS", help="race llama.cpp on a model of so many layers")
    options = parser.parse_args()
    file_types = available(options.quipu)
    missing = REQUIRED - set(file_types)
    if missing:
        sys.exit(f"quipu does not offer {', '.join(sorted(missing))}")
    with tempfile.TemporaryDirectory() as folder:
        comparison = Comparison(options.quipu, Reference(), folder)
        for recipe in models.QUANTIZE:
            model = models.write(recipe, folder)
            importance_path = os.path.join(folder, "imatrix.gguf")
            importance = write_importance(model, importance_path)
            for name in file_types:
                comparison.check(model, Case(name))
                comparison.check(model, Case(name), importance, importance_path)
            for case in option_cases():
                if recipe.embedding % 32 and {"output_tensor_type", "token_embedding_type"} & case.fields.keys():
                    comparison.must_refuse(model, case, "multiple")  # llama.cpp aborts
                else:
                    comparison.check(model, case)
            for case in importance_cases():
                comparison.check(model, case, importance, importance_path)
            comparison.check_errors(model)
            # Once more, from a quantised file; without the permission both refuse.
            twice = os.path.join(folder, "twice.gguf")
            comparison.reference.quantize(model, twice, "Q5_1")
            comparison.check(twice, Case("Q4_K_S", ("--allow-requantize",), {"allow_requantize": True}))
            comparison.check(twice, Case("Q4_K_S"))
            os.remove(model)
            print(f"{recipe.name}: {comparison.files} files so far, {len(comparison.failures)} differences", flush=True)
        if options.speed:
            race(comparison, options.speed)
    print(
        f"{comparison.files} files, {comparison.tensors} tensors compared, "
        f"{comparison.identical} files identical to the byte, "
        f"{comparison.skipped} refused by both; file types: {' '.join(file_types)}")
    sys.exit(f"{len(comparison.failures)} differences" if comparison.failures else 0)


if __name__ == "__main__":
    main()
