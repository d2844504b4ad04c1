#!/usr/bin/env bash
# Installs what building needs and the machine lacks: the headers of SQLite and libcrypto. Asks for root rights only if something is missing.
#
#     scripts/setup.sh            # for building and testing
#     scripts/setup.sh browser    # Chromium, for the tests of the report's page
#     scripts/setup.sh docs       # Graphviz, to which a command of the README hands a graph
set -euo pipefail

# install WHAT PACKAGES…: by apt, with a word on what to do where that cannot be.
install() {
    local what=$1 as_root=""
    shift
    if ! command -v apt-get >/dev/null; then
        echo "$what is missing, and there is no apt-get here; install it with your package manager." >&2
        exit 1
    fi
    if [ "$(id -u)" != 0 ]; then
        if ! command -v sudo >/dev/null || ! { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            echo "$what is missing, and installing it needs root rights: apt-get install $*" >&2
            exit 1
        fi
        as_root=sudo
    fi
    echo "Installing $*" >&2
    # Another program may be at the packages, as a new machine's own updates are. Only `install` can wait for it by itself.
    local tries=0 said
    until said=$($as_root env LC_ALL=C apt-get update -qq 2>&1); do
        tries=$((tries + 1))
        if [[ $said != *"Could not get lock"* ]] || [ $tries = 60 ]; then
            echo "$said" >&2
            exit 1
        fi
        sleep 5
    done
    $as_root apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends "$@" >/dev/null
}

if [ "${1:-}" = browser ]; then
    for name in "${CHROMIUM:-chromium-headless-shell}" chromium chromium-browser google-chrome; do
        if command -v "$name" >/dev/null; then exit 0; fi
    done
    # The tests take half the processor time with it. Not every system has it apart.
    install "Chromium" chromium-headless-shell fonts-dejavu-core || install "Chromium" chromium fonts-dejavu-core
    exit 0
fi

if [ "${1:-}" = docs ]; then
    command -v dot >/dev/null || install "Graphviz" graphviz
    exit 0
fi

if ! command -v swift >/dev/null; then
    echo "Swift 6.2 or newer is needed and 'swift' is not on the PATH; see swift.org/install." >&2
    exit 1
fi
if ! command -v python3 >/dev/null; then
    echo "python3 is needed and is not on the PATH." >&2
    exit 1
fi
[ "$(uname)" = Linux ] || exit 0
headers='#include <sqlite3.h>
#include <openssl/evp.h>'
if ! cc -E - <<<"$headers" >/dev/null 2>&1 && ! clang -E - <<<"$headers" >/dev/null 2>&1; then
    install "The header of SQLite (sqlite3.h) or of OpenSSL's libcrypto (openssl/evp.h)" libsqlite3-dev libssl-dev
fi
