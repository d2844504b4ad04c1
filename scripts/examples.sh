#!/usr/bin/env bash
# Builds and runs the programs of Examples/ as other people's packages would, against a tag in a clone of this checkout, and
# compares what they print with Examples/expected. SwiftPM builds dependencies that have a version by stricter rules than
# those with a path: no target that a product needs may have unsafe flags.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

git clone --quiet --no-local "$root" "$out/quipu"
git diff --binary HEAD | git -C "$out/quipu" apply --allow-empty --index
git -C "$out/quipu" -c user.name=examples -c user.email=examples@localhost commit --quiet --allow-empty -m "As it is now"
git -C "$out/quipu" tag 9999.0.0
cp -R Examples "$out/examples"
sed -i.bak "s|.package(name: \"quipu\", path: \"..\")|.package(url: \"file://$out/quipu\", exact: \"9999.0.0\")|" \
    "$out/examples/Package.swift"
swift build --package-path "$out/examples" --scratch-path "$out/build" --cache-path "$out/cache"
if [ -e "$out/build/debug/Modules/GRDB.swiftmodule" ]; then
    echo "The libraries build packages that only the program needs." >&2
    exit 1
fi

"$out/build/debug/list-tensors" models/micro-world-qat-q2_k.gguf | diff Examples/expected/list-tensors.txt -
"$out/build/debug/decode-blocks" models/micro-world-qat-q2_k.gguf blk.0.attn_q.weight \
    | diff Examples/expected/decode-blocks.txt -
if "$out/build/debug/list-tensors" README.md >"$out/error.txt"; then
    echo "list-tensors took README.md for a model" >&2
    exit 1
fi
grep -q "README.md, byte 0: found .* expected " "$out/error.txt" || { cat "$out/error.txt"; exit 1; }
# As it stands there, on the checkout's path.
swift package --package-path Examples --scratch-path "$out/path" describe >/dev/null
echo "The programs of Examples/ print what is expected."
