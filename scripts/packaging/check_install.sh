#!/usr/bin/env bash
# Installs into a folder, uses what was installed, and removes it; unpacks the tarball and uses that.
#
#     check_install.sh STAGE        # what `make stage` put together
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
stage=$(realpath "$1")
work=$(realpath "$(mktemp -d)")
trap 'rm -rf "$work"' EXIT
mkdir "$work/home" "$work/elsewhere"
cd "$work/elsewhere"

fail() {
    echo "check_install.sh: $*" >&2
    exit 1
}
clean() { env -i PATH="/usr/bin:/bin" HOME="$work/home" LANG=C.UTF-8 "$@"; }
# expect TEXT COMMAND…: succeeds and says TEXT.
expect() {
    local text=$1 said
    shift
    said=$(clean "$@" 2>&1) || fail "$* failed: $said"
    [[ $said == *"$text"* ]] || fail "$*: expected '$text', found: $said"
    echo "ok: $*"
}
# refuse TEXT COMMAND…: fails and says TEXT.
refuse() {
    local text=$1 said
    shift
    if said=$("$@" 2>&1); then fail "$* succeeds, expected '$text'"; fi
    [[ $said == *"$text"* ]] || fail "$*: expected '$text', found: $said"
    echo "ok: refused: $text"
}
# use PROGRAM: what needs the model, the lessons and the page.
use() {
    expect "39" "$1" inspect
    expect "Mia." "$1" trace --prompt "Mia has the red ball. Tom is at the lake. Who has the ball?" --generate 2 \
        -o t.db --force
    expect "Written: r.html" "$1" report t.db -o r.html --force
    expect "Grouped-query" "$1" lesson list
}
install=(python3 "$here/install.py")

# A prefix with a space, beside files of others.
prefix="$work/a prefix"
mkdir -p "$prefix/bin" "$prefix/share/man/man1"
echo theirs >"$prefix/bin/other"
"${install[@]}" install "$stage" "$prefix"
use "$prefix/bin/quipu"
(cd "$stage" && find . -type f) | sort >"$work/expected"
(cd "$prefix" && find . -type f ! -name other ! -name installed.txt) | sort >"$work/found"
diff "$work/expected" "$work/found" || fail "not exactly the staged files were installed"
# Again, as an update does; then through links; then moved as a whole.
echo old >"$prefix/share/quipu/old"
echo share/quipu/old >>"$prefix/share/quipu/installed.txt"
"${install[@]}" install "$stage" "$prefix" >/dev/null
[ ! -e "$prefix/share/quipu/old" ] || fail "an update leaves what only the earlier version had"
ln -s "$prefix/bin/quipu" "$work/link"
ln -s link "$work/link-to-link"
ln -s "$prefix" "$work/current"
expect "39" "$work/link-to-link" inspect
expect "Grouped-query" "$work/current/bin/quipu" lesson list
cp -r "$prefix" "$work/moved"
mv "$prefix" "$work/away"
use "$work/moved/bin/quipu"
mv "$work/away" "$prefix"
"${install[@]}" uninstall "$prefix"
left=$(cd "$prefix" && find . | sort | tr '\n' ' ')
[ "$left" = ". ./bin ./bin/other ./share ./share/man ./share/man/man1 " ] || fail "after uninstall there is: $left"
refuse "installed nothing" "${install[@]}" uninstall "$prefix"

# Nothing of others is replaced, and a folder that cannot be written is named.
echo theirs >"$prefix/bin/quipu"
refuse "did not write" "${install[@]}" install "$stage" "$prefix"
[ "$(cat "$prefix/bin/quipu")" = theirs ] || fail "a file of others was replaced"
refuse "cannot be written" "${install[@]}" install "$stage" /proc/quipu
echo file >"$work/file"
refuse "$work/file" "${install[@]}" install "$stage" "$work/file"

# As packagers do, with DESTDIR.
"${install[@]}" install "$stage" /usr "$work/destination" >/dev/null
use "$work/destination/usr/bin/quipu"
"${install[@]}" uninstall /usr "$work/destination"
[ -z "$(find "$work/destination" -type f)" ] || fail "after uninstall with DESTDIR there are files"

# Completions: as the shells read them, and that one offers what it should.
bash -n "$stage/share/bash-completion/completions/quipu"
touch model.gguf notes.txt
bash -c '
    source "$1"
    COMP_WORDS=(quipu ins) COMP_CWORD=1 COMP_LINE="quipu ins" COMP_POINT=9
    _quipu quipu ins quipu
    [[ " ${COMPREPLY[*]} " == *" inspect "* ]] || exit 1
    COMP_WORDS=(quipu inspect mod) COMP_CWORD=2 COMP_LINE="quipu inspect mod" COMP_POINT=17
    _quipu quipu mod inspect
    [[ " ${COMPREPLY[*]} " == *" model.gguf "* && " ${COMPREPLY[*]} " != *notes.txt* ]]
' bash "$stage/share/bash-completion/completions/quipu" || fail "bash does not complete a command and a model"
echo "ok: bash completes"
if command -v zsh >/dev/null; then zsh -n "$stage/share/zsh/site-functions/_quipu" && echo "ok: zsh reads its completions"; fi
if command -v fish >/dev/null; then
    # shellcheck disable=SC2016
    fish --no-config -c 'source $argv[1]; complete -C "quipu ins"' \
        "$stage/share/fish/vendor_completions.d/quipu.fish" | grep -q '^inspect' || fail "fish does not complete"
    echo "ok: fish completes"
fi

# A page for each command, without a complaint of the formatter.
commands=$("$stage/bin/quipu" --experimental-dump-help | grep -c '"commandName"')
pages=("$stage"/share/man/man1/quipu*.1)
[ "${#pages[@]}" = $((commands - 1)) ] || fail "${#pages[@]} manual pages for $((commands - 1)) commands"
for page in "${pages[@]}"; do
    if command -v mandoc >/dev/null; then
        said=$(mandoc -T lint -W warning "$page") || fail "$said"
    elif command -v man >/dev/null; then
        said=$(LC_ALL=C.UTF-8 man --warnings -l "$page" 2>&1 >/dev/null)
        [ -z "$said" ] || fail "$page: $said"
    fi
done
echo "ok: ${#pages[@]} manual pages"

# The same bytes each time, and all that is needed in it.
mkdir "$work/first" "$work/second"
python3 "$here/dist.py" "$stage" "$work/first"
find "$stage" -exec touch {} +
python3 "$here/dist.py" "$stage" "$work/second" >/dev/null 2>&1
cmp "$work"/first/quipu-*.tar.gz "$work"/second/quipu-*.tar.gz || fail "two tarballs of one tree differ"
tar -xzf "$work"/first/quipu-*.tar.gz -C "$work/first"
use "$(echo "$work"/first/quipu-*/bin/quipu)"
echo "ok: everything"
