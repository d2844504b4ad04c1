#!/usr/bin/env bash
# Measures quipu and llama.cpp side by side: prompt and decode rates, and what recording costs.
#
#     scripts/bench-against-llama.sh               # SmolLM2 and a 1.24 B model of random weights in six formats
#     scripts/bench-against-llama.sh model.gguf    # the rates of one model
#
# Builds llama.cpp for this processor from the source package of llama-cpp-python, which takes minutes the first time;
# $LLAMA_CPP_BIN names a folder that has llama-bench and llama-eval-callback already. Options are those of
# bench_against_llama.py. What is fetched, built and made lies in $QUIPU_BENCH_CACHE (default: downloads/bench).
set -euo pipefail

package=llama-cpp-python==0.3.36
root=$(cd "$(dirname "$0")/.." && pwd)
cache=${QUIPU_BENCH_CACHE:-$root/downloads/bench}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
python=$cache/venv/bin/python

if [ ! -e "$cache/venv/ready" ]; then
    python3 -m venv "$cache/venv"
    "$python" -m pip install --quiet --disable-pip-version-check cmake ninja numpy gguf
    touch "$cache/venv/ready"
fi

if [ -z "${LLAMA_CPP_BIN:-}" ]; then
    LLAMA_CPP_BIN=$cache/build/bin
    if [ ! -x "$LLAMA_CPP_BIN/llama-bench" ] || [ ! -x "$LLAMA_CPP_BIN/llama-eval-callback" ]; then
        echo "fetching and building llama.cpp …" >&2
        "$python" -m pip download --quiet --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
            -d "$cache" "$package"
        rm -rf "$cache/source" && mkdir "$cache/source"
        tar -xzf "$cache"/llama_cpp_python-*.tar.gz -C "$cache/source" --strip-components=1
        PATH=$cache/venv/bin:$PATH
        cmake -S "$cache/source/vendor/llama.cpp" -B "$cache/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
            -DGGML_NATIVE=ON -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_OPENSSL=OFF >"$cache/build.log"
        cmake --build "$cache/build" --target llama-bench llama-eval-callback >>"$cache/build.log"
    fi
fi

quipu=${QUIPU:-$root/.build/release/quipu}
[ -n "${QUIPU:-}" ] || make --silent -C "$root" build >&2
exec "$python" "$root/scripts/bench_against_llama.py" --quipu "$quipu" --llama "$LLAMA_CPP_BIN" \
    --models "$cache/models" "$@"
