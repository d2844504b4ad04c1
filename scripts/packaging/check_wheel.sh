#!/usr/bin/env bash
# Installs the wheel as a newcomer does and uses it: no Swift on the paths, no network, another folder.
#
#     check_wheel.sh WHEEL
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
wheel=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/elsewhere"
cd "$work/elsewhere"

offline=()
if unshare --map-root-user --net true 2>/dev/null; then offline=(unshare --map-root-user --net); fi

# clean COMMAND…: in the environment of someone who has only Python.
clean() {
    env -i PATH="$work/venv/bin:/usr/bin:/bin" HOME="$work/home" LANG=C.UTF-8 "${offline[@]}" "$@"
}
fail() {
    echo "check_wheel.sh: $*" >&2
    exit 1
}
# expect TEXT COMMAND…: succeeds and says TEXT.
expect() {
    local text=$1 said
    shift
    said=$(clean "$@" 2>&1) || fail "$* failed: $said"
    [[ $said == *"$text"* ]] || fail "$*: expected '$text', found: $said"
    echo "ok: $*"
}

if env -i PATH=/usr/bin:/bin sh -c 'command -v swift' >/dev/null; then fail "there is a swift in /usr/bin or /bin"; fi

python3 -m venv "$work/venv"
clean pip install --quiet --no-index --disable-pip-version-check "$wheel"

# The tag says what glibc the program needs, and it needs nothing else.
program=$("$work/venv/bin/python" -c 'import pathlib, sysconfig; print(pathlib.Path(sysconfig.get_path("purelib")) / "quipu/bin/quipu")')
[ -e "$program" ] || program=$("$work/venv/bin/python" -c 'import pathlib, sysconfig; print(pathlib.Path(sysconfig.get_path("platlib")) / "quipu/bin/quipu")')
[ -x "$program" ] || fail "$program: is not there, or cannot be run"
needed=$(LC_ALL=C readelf -V "$program" | grep -o 'GLIBC_2\.[0-9]*' | sort -t. -k2 -n -u | tail -1)
[[ $wheel == *"-manylinux_2_${needed#GLIBC_2.}_$(uname -m).whl" ]] || fail "$wheel: the program needs $needed"
libraries=$(LC_ALL=C readelf -d "$program" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | sort | tr '\n' ' ')
for library in $libraries; do
    case $library in
    libc.so.6 | libm.so.6 | ld-linux-*) ;;
    *) fail "the program needs $library, expected nothing but glibc" ;;
    esac
done
echo "ok: needs $needed, $libraries"

expect "quipu" quipu --help
expect "$(basename "$wheel" | cut -d- -f2)" quipu --version
expect "Mia." quipu trace --prompt "Mia has the red ball. Tom is at the lake. Who has the ball?" --generate 4
expect "kq_soft_max-0" quipu ops --layer 0
expect "report.html" quipu report
expect "What is in a GGUF file" quipu lesson start 1
expect "39" python -m quipu inspect
expect "n_tensors" python -m quipu inspect --json
expect "Everything reproduces" quipu verify
expect "39" python -c 'import quipu; print(quipu.inspect()["n_tensors"])'
expect " Mia" python -c 'import quipu; print(quipu.trace(prompt="Mia has the ball. Who has the ball?").generated)'
if ! "$work/venv/bin/python" -c 'import numpy' 2>/dev/null; then
    expect "needs numpy" python -c '
import quipu
try: quipu.trace(prompt="Mia").attention(layer=0, head=0)
except ImportError as error: print(error)'
fi
grep -q '<!DOCTYPE html>' report.html || fail "report.html is no page"
[ -e "$work/home/.local/state/quipu/last-trace" ] || fail "the last trace is not remembered in HOME"
# Status and words of failures come through.
if clean quipu inspect nowhere.gguf >/dev/null 2>&1; then fail "inspect of a file that is not there succeeds"; fi
[[ $(clean python -m quipu inspect nowhere.gguf 2>&1 || true) == "quipu: nowhere.gguf"* ]] || fail "an error has other words"
for file in man/man1/quipu.1 bash-completion/completions/quipu zsh/site-functions/_quipu \
    fish/vendor_completions.d/quipu.fish; do
    [ -s "$work/venv/share/$file" ] || fail "$work/venv/share/$file: is not there"
done
# A link to the command, from a folder of the user's.
mkdir "$work/bin"
ln -s "$work/venv/bin/quipu" "$work/bin/q"
expect "39" "$work/bin/q" inspect
ln -s "$program" "$work/bin/direct"
expect "39" "$work/bin/direct" inspect

clean pip uninstall --quiet --yes quipu
left=$(find "$work/venv" -iname '*quipu*' -not -name '*.pyc')
[ -z "$left" ] || fail "after pip uninstall there are left: $left"
echo "ok: pip uninstall"
cd "$work"
python3 "$here/first_word.py" "$wheel"
