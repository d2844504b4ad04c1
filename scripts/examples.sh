#!/usr/bin/env bash
# Builds and runs the programs of Examples/, and compares what they print with Examples/expected: first against this
# checkout, then as other people's packages would, against a tag in a clone. SwiftPM builds dependencies that have a
# version by stricter rules: no target that a product needs may have unsafe flags.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# check PACKAGE BUILD-FOLDER [OPTIONS…]
check() {
    local package=$1 build=$2
    shift 2
    swift build --package-path "$package" --scratch-path "$build" "$@"
    "$build/debug/list-tensors" models/micro-world-qat-q2_k.gguf | diff Examples/expected/list-tensors.txt -
    "$build/debug/decode-blocks" models/micro-world-qat-q2_k.gguf blk.0.attn_q.weight \
        | diff Examples/expected/decode-blocks.txt -
    if "$build/debug/list-tensors" README.md >"$out/error.txt"; then
        echo "list-tensors took README.md for a model" >&2
        exit 1
    fi
    grep -q "README.md, byte 0: found .* expected " "$out/error.txt" || { cat "$out/error.txt"; exit 1; }
    echo "$package: as expected"
}

check Examples .build-examples

git clone --quiet --no-local "$root" "$out/quipu"
git -C "$out/quipu" tag 9999.0.0
cp -R Examples "$out/examples"
sed -i.bak "s|.package(name: \"quipu\", path: \"..\")|.package(url: \"file://$out/quipu\", exact: \"9999.0.0\")|" \
    "$out/examples/Package.swift"
check "$out/examples" "$out/build" --cache-path "$out/cache"
if [ -e "$out/build/debug/Modules/GRDB.swiftmodule" ]; then
    echo "The libraries build packages that only the program needs." >&2
    exit 1
fi
