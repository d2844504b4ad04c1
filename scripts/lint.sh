#!/usr/bin/env bash
# Style and mistakes that a reader can see without running anything, in all languages of the repository: `make lint`.
#
#     scripts/lint.sh             # everything
#     scripts/lint.sh FILE…       # these files only
#
# Needs swift, and ruff and shellcheck on the PATH or in .venv/, where `make lint` installs them.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
PATH=$PWD/.venv/bin:$PATH

files=("$@")
if [ $# = 0 ]; then
    mapfile -t files < <(git ls-files --cached --others --exclude-standard)
fi
swift=() python=() shell=() kernels=()
for file in "${files[@]}"; do
    [ -f "$file" ] || continue
    case $file in
    *.swift) swift+=("$file") ;;
    *.py | *.ipynb) python+=("$file") ;;
    *.c) kernels+=("$file") ;;
    *.sh) shell+=("$file") ;;
    *) if head -c 40 "$file" | grep -aqE '^#!.*[/ ](ba|da)?sh$'; then shell+=("$file"); fi ;;
    esac
done

# Everything is looked at, whatever the first finds.
failed=()
check() {
    local what=$1 count=$2
    shift 2
    if [ "$count" -gt 0 ]; then
        echo "$what: $count files"
        "$@" || failed+=("$what")
    fi
}
clang=clang
if command -v swift >/dev/null && [ -x "$(dirname "$(command -v swift)")/clang" ]; then
    clang=$(dirname "$(command -v swift)")/clang # gcc does not know the pragma that forbids fused products
fi
check "swift format" ${#swift[@]} swift format lint --strict --parallel "${swift[@]}"
check ruff ${#python[@]} ruff check --quiet "${python[@]}"
check shellcheck ${#shell[@]} shellcheck "${shell[@]}"
check "clang -Wall -Wextra" ${#kernels[@]} \
    "$clang" -fsyntax-only -Wall -Wextra -Werror -ISources/SIMDKernels/include "${kernels[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    printf 'failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
