#!/usr/bin/env bash
# Counts the instructions that products of matrices take on ARM, Quipu's beside llama.cpp's, under an emulator.
#
#     scripts/count-neon.sh               # nine types of weights
#     scripts/count-neon.sh q4_0 q4_K     # these types, by ggml's names
#
# A count says nothing about speed: no processor was asked. Both programs compute the same product of the same bytes,
# and their results are compared. Counted is what 64 rows of 2,048 weights more take in one product more, of one token
# and of 32: the differences between 64 and 128 rows, and between one product and two. So all that is done once falls
# out: starting, repacking weights, and quantising activations. What llama.cpp takes for activations, with all else that
# it does once a product, is the last column. A second table has what converting activations takes, without all else.
#
# llama.cpp is ggml with its defaults but for OpenMP, compiled for processors with dot products, and for those with int8
# matrix instructions too; one thread; weights repacked where ggml does that. Quipu's kernels are compiled as in its
# package. Prints tables in Markdown. The first time llama.cpp is fetched and built, which takes minutes, into
# $QUIPU_BENCH_CACHE (default: downloads/bench). Needs swift, whose clang compiles the kernels, and Debian's
# gcc-aarch64-linux-gnu, g++-aarch64-linux-gnu and qemu-user (7.2).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

case ${1:-} in
-h | --help)
    sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
    exit
    ;;
-*)
    echo "count-neon.sh: no option $1; --help says what there is" >&2
    exit 64
    ;;
esac
types=("$@")
[ $# -gt 0 ] || types=(q4_0 q4_1 q8_0 q4_K q5_K q6_K iq4_xs mxfp4 f16)

missing=()
command -v aarch64-linux-gnu-gcc >/dev/null || missing+=(gcc-aarch64-linux-gnu)
command -v aarch64-linux-gnu-g++ >/dev/null || missing+=(g++-aarch64-linux-gnu)
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
if [ ${#missing[@]} -gt 0 ]; then
    echo "Missing: apt-get install ${missing[*]}" >&2
    exit 1
fi
if ! command -v swift >/dev/null; then
    echo "Missing: Swift, whose clang compiles the kernels" >&2
    exit 1
fi
if ! qemu-aarch64 --help | grep -q -e -plugin; then
    echo "This qemu-aarch64 has no plugins; Debian's 7.2 has them" >&2
    exit 1
fi

cache=${QUIPU_BENCH_CACHE:-$root/downloads/bench}
mkdir -p "$cache"
cache=$(cd "$cache" && pwd)
cd "$root"
clang=$(dirname "$(command -v swift)")/clang
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
sets=(dotprod i8mm)

build() {
    local set source folder tree
    "$clang" -O2 -Wall -Wextra -Werror -shared -fPIC Tests/Kernels/instructions.c -o "$out/instructions.so"
    for set in "${sets[@]}"; do
        python3 scripts/build_llama.py libraries "$cache" --neon "$set" >"$out/folders"
        { read -r tree && read -r folder; } <"$out/folders"
        aarch64-linux-gnu-g++ -std=c++17 -O2 -Wall -Wextra -Werror "-I$tree/ggml/include" -static \
            Tests/Kernels/count_ggml.cpp "$folder/libggml-cpu.a" "$folder/libggml-base.a" -lm -o "$out/$set"
    done
    mkdir "$out/kernels"
    for source in Tests/Kernels/count_{product,encoding}.c Sources/SIMDKernels/*.c; do
        folder=$out/kernels
        [[ $source == Sources/* ]] || folder=$out
        "$clang" --target=aarch64-linux-gnu -isystem /usr/aarch64-linux-gnu/include -O2 -Wall -Wextra -Werror \
            -ISources/SIMDKernels/include -c "$source" -o "$folder/$(basename "$source" .c).o"
    done
    aarch64-linux-gnu-gcc -static "$out/count_product.o" "$out"/kernels/*.o -lm -o "$out/quipu"
    aarch64-linux-gnu-gcc -static "$out/count_encoding.o" "$out"/kernels/*.o -lm -o "$out/encoding"
}

# WORDS…: the instructions of a program, in $instructions. What it prints is in $out/printed.
count() {
    qemu-aarch64 -plugin "$out/instructions.so" -d plugin -D "$out/log" "$@" >"$out/printed" 2>"$out/errors" || {
        cat "$out/errors" "$out/printed" >&2
        echo "count-neon.sh: $(basename "$1") failed: ${*:2}" >&2
        exit 1
    }
    instructions=$(sed -n 's/^instructions: //p' "$out/log")
}

# PROGRAM TYPE ROWS TOKENS: the instructions of one product more, in $product. One by Quipu is the last one by ggml.
one_product() {
    local once
    if [ "$1" = quipu ]; then
        count "$out/quipu" "$out/product.bin" 1
        once=$instructions
        count "$out/quipu" "$out/product.bin" 2
    else
        count "$out/$1" "$2" "$3" "$4" 1 "$out/product.bin"
        once=$instructions
        count "$out/$1" "$2" "$3" "$4" 2 "$out/product.bin"
    fi
    product=$((instructions - once))
}

# TYPE TOKENS: a line of the table.
measure() {
    local rows set how
    local -A counts
    for rows in 64 128; do
        for set in "${sets[@]}"; do
            one_product "$set" "$1" "$rows" "$2"
            counts[$set$rows]=$product
            # The same count for either set, and another result that Quipu's is held against.
            one_product quipu "$1" "$rows" "$2"
            counts[quipu$rows]=$product
        done
    done
    read -r how _ <"$out/printed"
    awk -v type="$1" -v tokens="$2" -v how="$how" -v q64="${counts[quipu64]}" -v q128="${counts[quipu128]}" \
        -v d64="${counts[dotprod64]}" -v d128="${counts[dotprod128]}" -v i64="${counts[i8mm64]}" \
        -v i128="${counts[i8mm128]}" '
        BEGIN {
            groups = 2048 / 32 * tokens
            quipu = (q128 - q64) / groups / 64; dotprod = (d128 - d64) / groups / 64; i8mm = (i128 - i64) / groups / 64
            printf "| %s | %d | %.1f | %.1f | %.2f | %.1f | %.2f | %s | %.0f |\n", toupper(type), tokens, quipu,
                dotprod, dotprod / quipu, i8mm, i8mm / quipu, how, (2 * i64 - i128) / groups
        }'
}

# TYPE: a line of the table of activations, a row of 2,048: what the second time takes.
measure_encoding() {
    local ggml quipu
    count "$out/dotprod" encode "$1" 1 "$out/row.bin"
    ggml=-$instructions
    count "$out/dotprod" encode "$1" 2 "$out/row.bin"
    ggml=$((ggml + instructions))
    count "$out/encoding" "$out/row.bin" 1
    quipu=-$instructions
    count "$out/encoding" "$out/row.bin" 2
    quipu=$((quipu + instructions))
    awk -v type="$1" -v quipu="$quipu" -v ggml="$ggml" 'BEGIN {
        printf "| %s | %.0f | %.0f | %.2f |\n", toupper(type), quipu / 64, ggml / 64, ggml / quipu
    }'
}

build
cat <<'END'
Instructions for 32 multiplications and additions. The ratio is llama.cpp's by Quipu's.

| weights | tokens | Quipu | llama.cpp, dotprod | ratio | llama.cpp, i8mm | ratio | its weights | per 32 activations |
|---|---|---|---|---|---|---|---|---|
END
for tokens in 1 32; do
    for type in "${types[@]}"; do
        measure "$type" "$tokens"
    done
done
cat <<'END'

Instructions for 32 activations.

| activations | Quipu | llama.cpp, dotprod | ratio |
|---|---|---|---|
END
for type in q8_0 q8_1 q8_K f16; do
    measure_encoding "$type"
done
