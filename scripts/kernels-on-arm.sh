#!/usr/bin/env bash
# Builds the C kernels for ARM, runs them under an emulator, and compares: NEON with plain C or a plain definition, and
# what these give with what they give on this machine. Takes seconds. An emulator says nothing about speed.
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
options=(-O2 -Wall -Wextra -Werror -ISources/SIMDKernels/include)

for source in Sources/SIMDKernels/*.c; do
    name=$(basename "$source" .c)
    "$clang" "${options[@]}" -c "$source" -o "$out/$name.here.o"
    "$clang" --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include "${options[@]}" \
        -c "$source" -o "$out/$name.arm.o"
done

# DRIVER WHAT: builds and runs a driver here and on ARM, with memory watched at its end, then at its start.
run() {
    local side
    "$clang" "${options[@]}" "Tests/Kernels/$1.c" "$out"/*.here.o -lm -o "$out/here"
    "$clang" --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include "${options[@]}" \
        -c "Tests/Kernels/$1.c" -o "$out/driver.o"
    aarch64-linux-gnu-gcc -static "$out/driver.o" "$out"/*.arm.o -lm -o "$out/arm"
    "$out/here" >"$out/here.txt" || { cat "$out/here.txt"; exit 1; }
    for side in start end; do
        KERNEL_MEMORY=$side qemu-aarch64 "$out/arm" >"$out/arm.txt" || { cat "$out/arm.txt"; exit 1; }
        diff "$out/here.txt" "$out/arm.txt"
    done
    cat "$out/arm.txt"
    echo "The same bits as on $(uname -m), in $(grep -c . "$out/arm.txt") $2."
}

run compare "types of products"
run row_bits "kinds of rows"
