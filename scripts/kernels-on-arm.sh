#!/usr/bin/env bash
# Builds the C kernels for ARM, runs them under an emulator, and compares: NEON with plain C, and plain C's results
# with those of this machine. Takes seconds. An emulator says nothing about speed.
#
#     scripts/kernels-on-arm.sh       # needs Debian's gcc-aarch64-linux-gnu and qemu-user
set -euo pipefail
cd "$(dirname "$0")/.."

missing=()
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing: apt-get install ${missing[*]}" >&2
    exit 1
fi
# Swift's own clang, as the package is built with: gcc does not know the pragma that forbids fused products.
clang=$(dirname "$(command -v swift)")/clang
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sources=(Tests/Kernels/compare.c Sources/SIMDKernels/*.c)
options=(-O2 -Wall -Wextra -Werror -ISources/SIMDKernels/include)

"$clang" "${options[@]}" "${sources[@]}" -lm -o "$out/here"
for source in "${sources[@]}"; do
    "$clang" --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include "${options[@]}" \
        -c "$source" -o "$out/$(basename "$source" .c).o"
done
aarch64-linux-gnu-gcc -static "$out"/*.o -lm -o "$out/arm"

"$out/here" >"$out/here.txt" || { cat "$out/here.txt"; exit 1; }
qemu-aarch64 "$out/arm" | tee "$out/arm.txt"
diff "$out/here.txt" "$out/arm.txt"
echo "The same bits as on $(uname -m), in $(grep -c . "$out/arm.txt") types."
