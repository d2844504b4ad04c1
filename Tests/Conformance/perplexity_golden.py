#!/usr/bin/env python3
"""Writes Tests/Fixtures/golden/perplexity.json: how real llama.cpp's logits score models on a text.

    .venv/bin/python perplexity_golden.py [SMOLLM2.gguf]    # as fixtures.sh does; without SmolLM2 its figures are kept

Needs requirements.txt and requirements-whole-pass.txt. The text is the embedded model's held-out one. Logits are those
of llama.cpp's CPU backend through `llama-cpp-python`, flash attention off, weights as they are in the file (it can
reorder them for other kernels, whose sums round otherwise), a chunk a batch; the figures are computed here from their
formulas, in double precision, as `llama-perplexity` and its `--kl-divergence` print them: BOS in place of each chunk's
first token if the model adds one, the predictions in the second half scored.
"""

import json
import os
import sys

import llama_cpp
import llama_cpp.llama_cpp
import numpy as np

PACKAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
TEXT = "models/micro-world-held-out.txt"
SMOLLM2 = "SmolLM2"
MICRO, QUANTISED = "models/micro-world-f16.gguf", "models/micro-world-qat-q4_0.gguf"
STORIES, K_QUANTS = "Tests/Fixtures/stories260K.gguf", "Tests/Fixtures/tiny-kquants.gguf"
# model, tokens of a chunk, chunks
SCORED = [(MICRO, 256, 8), (MICRO, 65, 5), (STORIES, 128, 6), (K_QUANTS, 96, 3)]
COMPARED = [(MICRO, QUANTISED, 256, 8), (MICRO, QUANTISED, 100, 7), (QUANTISED, MICRO, 101, 2)]


_default_parameters = llama_cpp.llama_cpp.llama_model_default_params


def _as_stored():
    parameters = _default_parameters()
    parameters.use_extra_bufts = False
    return parameters


llama_cpp.llama_cpp.llama_model_default_params = _as_stored


class Scored:
    """Logits of the scored positions, and the tokens that follow them."""

    def __init__(self, path, size, chunks):
        model = llama_cpp.Llama(
            path, n_ctx=size, n_batch=size, n_ubatch=size, logits_all=True, flash_attn=False, n_threads=2,
            verbose=False)
        with open(os.path.join(PACKAGE, TEXT), "rb") as file:
            tokens = model.tokenize(file.read(), add_bos=True, special=False)
        self.text_tokens = len(tokens)
        adds_bos = llama_cpp.llama_vocab_get_add_bos(model._model.vocab)
        logits, targets = [], []
        for number in range(chunks):
            chunk = tokens[number * size:(number + 1) * size]
            if adds_bos:
                chunk[0] = model.token_bos()
            model.reset()
            model._ctx.kv_cache_clear()
            model.eval(chunk)
            logits.append(np.array(model.scores[size // 2:size - 1], dtype=np.float64))
            targets += chunk[size // 2 + 1:]
        logits, self.targets = np.concatenate(logits), np.array(targets)
        largest = logits.max(axis=1, keepdims=True)
        self.log = logits - largest - np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
        self.nll = -self.log[np.arange(len(targets)), self.targets]


def mean_and_error(values):
    values = np.asarray(values)
    return float(values.mean()), float(values.std() / np.sqrt(len(values) - 1))


def perplexity(nll):
    mean, error = mean_and_error(nll)
    return float(np.exp(mean)), float(np.exp(mean) * error)


def scores(path, name, size, chunks):
    scored = Scored(path, size, chunks)
    value, error = perplexity(scored.nll)
    each = scored.nll.reshape(chunks, -1).mean(axis=1)
    return {
        "model": name, "chunk": size, "chunks": chunks, "text_tokens": scored.text_tokens,
        "n_tokens": len(scored.nll), "perplexity": value, "uncertainty": error,
        "each": [float(np.exp(nll)) for nll in each],
    }


def comparison(base_name, other_name, size, chunks):
    base, other = (Scored(os.path.join(PACKAGE, name), size, chunks) for name in (base_name, other_name))
    kld = (np.exp(base.log) * (base.log - other.log)).sum(axis=1)
    change = np.exp(-other.nll) - np.exp(-base.nll)
    (base_value, base_error), (other_value, other_error) = perplexity(base.nll), perplexity(other.nll)
    covariance = np.mean((base.nll - base.nll.mean()) * (other.nll - other.nll.mean())) / (len(kld) - 1)
    log_errors = base_error / base_value, other_error / other_value
    ratio = other_value / base_value
    same = float((base.log.argmax(axis=1) == other.log.argmax(axis=1)).mean())
    square, square_error = mean_and_error(change**2)
    mean, error = mean_and_error(kld)
    change_mean, change_error = mean_and_error(change)
    return {
        "base": base_name, "other": other_name, "chunk": size, "chunks": chunks, "n_tokens": len(kld),
        "kld": {
            "mean": mean, "uncertainty": error, "median": float(np.median(kld)), "p90": float(np.quantile(kld, 0.9)),
            "p99": float(np.quantile(kld, 0.99)), "p999": float(np.quantile(kld, 0.999)), "max": float(kld.max()),
            "min": float(kld.min()),
        },
        "same_top": same, "same_top_uncertainty": float(np.sqrt(same * (1 - same) / (len(kld) - 1))),
        "delta_p": {
            "mean": change_mean, "mean_uncertainty": change_error, "rms": float(np.sqrt(square)),
            "rms_uncertainty": float(0.5 / np.sqrt(square) * square_error), "max": float(change.max()),
            "min": float(change.min()),
        },
        "perplexity": {
            "base": base_value, "base_uncertainty": base_error, "other": other_value, "other_uncertainty": other_error,
            "ratio": ratio,
            "ratio_uncertainty": float(ratio * np.sqrt(log_errors[0] ** 2 + log_errors[1] ** 2 - 2 * covariance)),
            "difference": other_value - base_value,
            "difference_uncertainty": float(
                np.sqrt(base_error**2 + other_error**2 - 2 * base_value * other_value * covariance)),
            "correlation": float(covariance / (log_errors[0] * log_errors[1])),
        },
    }


def main():
    path = os.path.join(PACKAGE, "Tests", "Fixtures", "golden", "perplexity.json")
    scored = [scores(os.path.join(PACKAGE, name), name, size, chunks) for name, size, chunks in SCORED]
    if len(sys.argv) > 1:
        scored.append(scores(sys.argv[1], SMOLLM2, 512, 2))
    else:
        with open(path) as file:
            scored += [entry for entry in json.load(file)["scored"] if entry["model"] == SMOLLM2]
    with open(path, "w") as file:
        json.dump({"scored": scored, "compared": [comparison(*entry) for entry in COMPARED]}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
