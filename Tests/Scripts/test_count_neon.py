"""What scripts/count-neon.sh says before it counts anything."""

import pathlib
import shutil
import subprocess

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/count-neon.sh"


def run(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess:
    environment = None if path is None else {"PATH": path}
    return subprocess.run(
        [shutil.which("bash"), SCRIPT, *arguments], capture_output=True, text=True, check=False, env=environment)


def test_help() -> None:
    done = run("--help")
    assert done.returncode == 0 and "scripts/count-neon.sh q4_0 q4_K" in done.stdout
    assert "set -euo" not in done.stdout


def test_an_unknown_option() -> None:
    done = run("--fast")
    assert done.returncode == 64 and "no option --fast" in done.stderr


def test_missing_packages_are_named(tmp_path: pathlib.Path) -> None:
    for name in ("dirname", "aarch64-linux-gnu-gcc"):
        (tmp_path / name).symlink_to(shutil.which("dirname"))
    done = run(path=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "Missing: apt-get install g++-aarch64-linux-gnu qemu-user\n"
