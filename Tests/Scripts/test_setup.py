"""scripts/setup.sh where another program is at the packages, as a new machine's own updates are."""

import pathlib
import shutil
import subprocess

import quick

# Notes how it was called; `update` finds the list locked as often as is said in the file "locked".
APT_GET = """#!/bin/sh
echo "$@" >> "$FOLDER/calls"
[ "$1" = update ] || exit 0
left=$(cat "$FOLDER/locked")
[ "$left" = 0 ] && exit 0
echo $((left - 1)) > "$FOLDER/locked"
exit 100
"""


def set_up(folder: pathlib.Path, locked: int) -> tuple[int, list[str]]:
    """Installs Graphviz on a machine that has none; the exit status, and the calls of apt-get."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {"apt-get": APT_GET, "sleep": "#!/bin/sh\n", "id": "#!/bin/sh\necho 0\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ["bash", "sh", "cat", "dirname"]:
        (programs / name).symlink_to(shutil.which(name))
    (folder / "locked").write_text(str(locked))
    done = subprocess.run(
        ["/bin/bash", quick.ROOT / "scripts/setup.sh", "docs"], env={"PATH": str(programs), "FOLDER": str(folder)},
        capture_output=True, text=True)
    return done.returncode, (folder / "calls").read_text().splitlines()


def test_it_waits_for_who_has_the_package_lists(tmp_path: pathlib.Path) -> None:
    status, calls = set_up(tmp_path, locked=2)
    assert status == 0
    assert calls[:3] == ["update -qq"] * 3
    assert "DPkg::Lock::Timeout=300" in calls[3] and calls[3].endswith(" graphviz") and len(calls) == 4


def test_it_gives_up_after_a_while(tmp_path: pathlib.Path) -> None:
    status, calls = set_up(tmp_path, locked=1000)
    assert status == 1
    assert calls == ["update -qq"] * 60
