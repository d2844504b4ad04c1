#!/usr/bin/env bash
# Installs what building needs and the machine lacks: SQLite's header. Asks for root rights only if something is missing.
set -euo pipefail

if ! command -v swift >/dev/null; then
    echo "Swift 6.2 or newer is needed and 'swift' is not on the PATH; see swift.org/install." >&2
    exit 1
fi
if ! command -v python3 >/dev/null; then
    echo "python3 is needed and is not on the PATH." >&2
    exit 1
fi
if [ "$(uname)" != Linux ] || echo '#include <sqlite3.h>' | cc -E - >/dev/null 2>&1 \
    || echo '#include <sqlite3.h>' | clang -E - >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null; then
    echo "SQLite's development files (sqlite3.h) are missing; install them with your package manager." >&2
    exit 1
fi
as_root=""
[ "$(id -u)" = 0 ] || as_root="sudo"
echo "Installing libsqlite3-dev" >&2
$as_root apt-get update -qq
$as_root apt-get install -y -qq --no-install-recommends libsqlite3-dev
