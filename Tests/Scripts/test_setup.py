"""scripts/setup.sh where another program is at the packages, as a new machine's own updates are."""

import pathlib
import shutil
import subprocess

import quick

# Notes how it was called; `update` fails as often as the file "left" says, for the reason in "reason".
APT_GET = """#!/bin/sh
echo "$@" >> "$FOLDER/calls"
[ "$1" = update ] || exit 0
left=$(cat "$FOLDER/left")
[ "$left" = 0 ] && exit 0
echo $((left - 1)) > "$FOLDER/left"
cat "$FOLDER/reason" >&2
exit 100
"""


LOCKED = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 7 (apt-get)"


def set_up(folder: pathlib.Path, failures: int, reason: str = LOCKED) -> tuple[int, list[str], str]:
    """Installs Graphviz on a machine that has none: the exit status, the calls of apt-get, and what is said."""
    programs = folder / "bin"
    programs.mkdir()
    for name, text in {"apt-get": APT_GET, "sleep": "#!/bin/sh\n", "id": "#!/bin/sh\necho 0\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in ["bash", "sh", "cat", "dirname", "env"]:
        (programs / name).symlink_to(shutil.which(name))
    (folder / "left").write_text(str(failures))
    (folder / "reason").write_text(reason)
    done = subprocess.run(
        ["/bin/bash", quick.ROOT / "scripts/setup.sh", "docs"], env={"PATH": str(programs), "FOLDER": str(folder)},
        capture_output=True, text=True)
    return done.returncode, (folder / "calls").read_text().splitlines(), done.stderr


def test_it_waits_for_who_has_the_package_lists(tmp_path: pathlib.Path) -> None:
    status, calls, _ = set_up(tmp_path, failures=2)
    assert status == 0
    assert calls[:3] == ["update -qq"] * 3
    assert "DPkg::Lock::Timeout=300" in calls[3] and calls[3].endswith(" graphviz") and len(calls) == 4


def test_it_gives_up_after_a_while(tmp_path: pathlib.Path) -> None:
    status, calls, said = set_up(tmp_path, failures=1000)
    assert status == 1
    assert calls == ["update -qq"] * 60
    assert said.count(LOCKED) == 1


def test_it_does_not_wait_for_a_package_source_that_is_gone(tmp_path: pathlib.Path) -> None:
    reason = "E: The repository 'http://example.org stable Release' does not have a Release file."
    status, calls, said = set_up(tmp_path, failures=1000, reason=reason)
    assert status == 1
    assert calls == ["update -qq"]
    assert reason in said
