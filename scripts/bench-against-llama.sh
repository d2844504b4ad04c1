#!/usr/bin/env bash
# Measures quipu and llama.cpp side by side: prompt and decode rates, and what recording costs.
#
#     scripts/bench-against-llama.sh               # SmolLM2 and a 1.24 B model of random weights in eight formats
#     scripts/bench-against-llama.sh model.gguf    # the rates of one model
#     scripts/bench-against-llama.sh --kernels avx2    # both programs with AVX2 and nothing newer: rates in eight formats
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

# The set of kernels that both programs are held to, if one is named.
kernels=()
for ((i = 1; i <= $#; i++)); do
    case ${!i} in
    --kernels=*) kernels=(--kernels "${!i#*=}") ;;
    --kernels)
        next=$((i + 1))
        kernels=(--kernels "${!next:-}")
        ;;
    esac
done

if [ -z "${LLAMA_CPP_BIN:-}" ]; then
    LLAMA_CPP_BIN=$cache/build${kernels[1]:+-${kernels[1]}}/bin
    "$python" "$root/scripts/build_llama.py" programs "$cache" "${kernels[@]}"
fi

quipu=${QUIPU:-$root/.build/release/quipu}
[ -n "${QUIPU:-}" ] || make --silent -C "$root" build >&2
exec "$python" "$root/scripts/bench_against_llama.py" --quipu "$quipu" --llama "$LLAMA_CPP_BIN" \
    --models "$cache/models" "$@"
