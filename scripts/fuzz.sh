#!/usr/bin/env bash
# Looks for inputs that end the process or break a promise, with libFuzzer and the address sanitizer: `make fuzz`.
#
#     scripts/fuzz.sh                       # every target in turn, ten minutes together
#     scripts/fuzz.sh 3600                  # so many seconds together
#     scripts/fuzz.sh 600 trace template    # these targets only
#
# Begins with Tests/Fuzz/Corpus/NAME; what is found beside it stays in .build-fuzz/corpus/NAME for the next time. An input that
# fails is kept as .build-fuzz/failures/NAME-…, and `.build-fuzz/release/FuzzDriver NAME FILE` repeats it. Mended, it belongs
# into Tests/Fuzz/Corpus/NAME, which `make test` replays.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-600}
[ $# = 0 ] || shift
driver=.build-fuzz/release/FuzzDriver
# Our loops optimised, libraries not, as `make` builds. Undefined behaviour in the C code is looked for by sanitize.sh.
QUIPU_FUZZ=1 QUIPU_PLAIN_LIBRARIES=1 swift build -c release -Xswiftc -Onone --product FuzzDriver --scratch-path .build-fuzz --sanitize address \
    -Xswiftc -sanitize=fuzzer -Xswiftc -use-ld=lld -Xcc -fsanitize=fuzzer-no-link -Xcc -O1
targets=("$@")
[ $# != 0 ] || mapfile -t targets < <("$driver" | cut -d: -f1)

mkdir -p .build-fuzz/failures
status=0
for target in "${targets[@]}"; do
    mkdir -p ".build-fuzz/corpus/$target"
    echo "== $target, $((seconds / ${#targets[@]})) seconds" >&2
    # A hang is an input that takes ten seconds. A recorded cache of which the file holds little may take 1 GiB: TraceStore.
    # Swift's runtime keeps what looks like leaks.
    ASAN_OPTIONS=detect_leaks=0 "$driver" "$target" -max_total_time=$((seconds / ${#targets[@]})) -timeout=10 \
        -rss_limit_mb=3072 -max_len=8192 -print_final_stats=1 -artifact_prefix=".build-fuzz/failures/$target-" \
        ".build-fuzz/corpus/$target" "Tests/Fuzz/Corpus/$target" >".build-fuzz/$target.log" 2>&1 || {
        status=1
        grep -a -A 12 "ERROR\|Fatal error\|SUMMARY" ".build-fuzz/$target.log" | head -40
    }
    grep -a "stat::number_of_executed_units\|^#.*DONE" ".build-fuzz/$target.log" | sed "s/^/$target  /" || true
done
exit $status
