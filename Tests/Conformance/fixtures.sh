#!/bin/sh
# Makes Tests/Fixtures/tiny-*.gguf and, from the real llama.cpp, Tests/Fixtures/golden/tiny-*.tsv
# golden/quantize.json and golden/perplexity.json.
# Needs a Python with requirements.txt installed, and llama-cpp-python by scripts/build_llama.py:  PYTHON=.../bin/python fixtures.sh
set -eu
cd "$(dirname "$0")"
fixtures=../Fixtures
python=${PYTHON:-.venv/bin/python}
"$python" models.py --fixtures "$fixtures"
mkdir -p "$fixtures/golden"
for model in "$fixtures"/tiny-*.gguf; do
    "$python" oracle.py "$model" --prompt "Once upon a time the dog" --tsv "$fixtures/golden/$(basename "$model" .gguf).tsv"
done
"$python" quant_golden.py
"$python" perplexity_golden.py
