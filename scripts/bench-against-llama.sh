#!/usr/bin/env bash
# Measures quipu and llama.cpp side by side: prompt and decode rates, and what recording costs.
#
#     scripts/bench-against-llama.sh               # SmolLM2 and a 1.24 B model of random weights in six formats
#     scripts/bench-against-llama.sh model.gguf    # the rates of one model
#
# Builds llama.cpp for this processor first (build_llama.py), which takes minutes the first time;
# $LLAMA_CPP_BIN names a folder that has llama-bench and llama-eval-callback already. Options are those of
# bench_against_llama.py. What is fetched, built and made lies in $QUIPU_BENCH_CACHE (default: downloads/bench).
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUIPU_BENCH_CACHE:-$root/downloads/bench}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
python=$cache/venv/bin/python

if [ ! -e "$cache/venv/ready" ]; then
    python3 -m venv "$cache/venv"
    "$python" -m pip install --quiet --disable-pip-version-check numpy gguf
    touch "$cache/venv/ready"
fi

if [ -z "${LLAMA_CPP_BIN:-}" ]; then
    LLAMA_CPP_BIN=$cache/build/bin
    "$python" "$root/scripts/build_llama.py" programs "$cache"
fi

quipu=${QUIPU:-$root/.build/release/quipu}
[ -n "${QUIPU:-}" ] || make --silent -C "$root" build >&2
exec "$python" "$root/scripts/bench_against_llama.py" --quipu "$quipu" --llama "$LLAMA_CPP_BIN" \
    --models "$cache/models" "$@"
