#!/usr/bin/env bash
# The C kernels and the Swift tests under sanitizers: `make sanitize`. Long: two builds of everything, and slow tests.
#
#     scripts/sanitize.sh                                     # all parts
#     scripts/sanitize.sh kernels                             # minutes: C only, of every set that this processor runs
#     scripts/sanitize.sh memory --filter RecordingTests      # addresses, undefined behaviour in C; these tests only
#     scripts/sanitize.sh threads                             # races between threads
set -euo pipefail
cd "$(dirname "$0")/.."
clang=$(dirname "$(command -v swift)")/clang
[ -x "$clang" ] || clang=clang

# Kernels on rows of odd sizes, in memory between pages that may not be touched, then with the compiler's checks.
kernels() {
    local out driver side
    out=$(mktemp -d)
    local options=(-g -Wall -Wextra -Werror "-I$PWD/Sources/SIMDKernels/include")
    local checks=("-fsanitize=address,undefined" -fno-sanitize-recover=all)
    objects "$out/plain" -O2
    objects "$out/checked" -O1 "${checks[@]}" -fno-omit-frame-pointer
    for driver in compare rows row_bits; do
        echo "kernels: $driver.c" >&2
        "$clang" -O2 "${options[@]}" "Tests/Kernels/$driver.c" "$out"/plain/*.o -lm -o "$out/$driver"
        for side in end start; do
            KERNEL_MEMORY=$side "$out/$driver" >/dev/null
        done
        # The linker says of hundreds of symbols that it cannot export them.
        "$clang" -O1 "${options[@]}" "${checks[@]}" -fno-omit-frame-pointer "Tests/Kernels/$driver.c" "$out"/checked/*.o \
            -lm -o "$out/$driver" 2>"$out/log" || {
            cat "$out/log" >&2
            exit 1
        }
        ASAN_OPTIONS=detect_leaks=0 "$out/$driver"
    done
    rm -rf "$out"
}

# FOLDER FLAGS…: the kernels compiled, as many files at once as there are cores.
objects() {
    local folder=$1
    shift
    mkdir "$folder"
    printf '%s\n' "$PWD"/Sources/SIMDKernels/*.c |
        (cd "$folder" && xargs -P "$(getconf _NPROCESSORS_ONLN)" -n 1 "$clang" "${options[@]}" "$@" -c)
}

# Swift's runtime keeps what looks like leaks. Undefined behaviour is what C code may have: it traps, since Swift on Linux
# links no runtime that would report it. Release, because the tests are heavy arithmetic; libraries as `make` builds them.
tests() {
    QUIPU_PLAIN_LIBRARIES=1 swift test -c release -Xswiftc -Onone --disable-testable-imports "$@"
}

memory() {
    ASAN_OPTIONS=detect_leaks=0 tests --scratch-path .build-memory --sanitize address \
        -Xcc -fsanitize=undefined -Xcc -fsanitize-trap=undefined "$@"
}

# Tests/Sanitizer/mutex.c tells the sanitizer what it cannot see of Swift's locks on Linux; other programs ignore it.
threads() {
    if [ "$(uname)" = Linux ]; then
        mkdir -p .build-threads
        "$clang" -O1 -Wall -Wextra -Werror -shared -fPIC Tests/Sanitizer/mutex.c -o .build-threads/mutex.so
        export LD_PRELOAD=$PWD/.build-threads/mutex.so
    fi
    TSAN_OPTIONS="halt_on_error=1 suppressions=$PWD/Tests/Sanitizer/threads.txt" tests --scratch-path .build-threads --sanitize thread "$@"
}

part=${1:-all}
[ $# = 0 ] || shift
case $part in
kernels) kernels ;;
memory) memory "$@" ;;
threads) threads "$@" ;;
all)
    kernels
    memory "$@"
    threads "$@"
    ;;
*)
    sed -n 2,8p "$0" >&2
    exit 64
    ;;
esac
