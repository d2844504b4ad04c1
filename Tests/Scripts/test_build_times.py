"""What a process of a build is counted for."""

import json
import os
import subprocess
import sys

import pytest

import build_times

FRONTEND = "/opt/swift/usr/bin/swift-frontend -frontend -c a.swift -module-name"
PROCESSES = {
    f"{FRONTEND} Analysis -o /x/Analysis.build/a.o": "Analysis",
    f"{FRONTEND} GRDB -primary-file b.swift": "GRDB",
    "/usr/bin/clang -c avx512.c -o /x/.build/release/SIMDKernels.build/avx512.c.o": "SIMDKernels",
    "/usr/bin/clang a.o b.o -o /x/.build/release/quipu": "(link)",
    "swiftc -emit-executable -module-name quipu -o /x/quipu": "(link)",
    "ld.gold -o /x/quipu": "(link)",
    "swift-frontend -frontend -interpret /x/Package.swift -module-name main": "(manifests)",
    "git clone x": "(packages)",
    "/opt/swift/usr/bin/swift-build -c release": "(SwiftPM)",
    "sh -c true": "(other)",
}


@pytest.mark.parametrize("line", PROCESSES)
def test_a_process_is_counted_for(line: str) -> None:
    assert build_times.label(line.split(), None) == PROCESSES[line]


def test_a_child_is_counted_for_its_parent() -> None:
    assert build_times.label(["cat"], "Analysis") == "Analysis"
    assert build_times.label(f"{FRONTEND} main".split(), "(manifests)") == "(manifests)"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_seconds_are_those_of_the_processor(tmp_path) -> None:
    spin = "import time; end = time.process_time() + 1.0\nwhile time.process_time() < end: pass"
    # Named like a compiler, so that it has a row of its own.
    compiler = tmp_path / "swift-frontend"
    compiler.symlink_to(sys.executable)
    saved, script = tmp_path / "times.json", build_times.__file__
    environment = os.environ | {"PYTHONHOME": sys.base_prefix}
    subprocess.run(
        [sys.executable, script, "--save", saved, "--", compiler, "-c", spin, "-module-name", "Spinning"],
        check=True, env=environment)
    result = json.loads(saved.read_text())
    rows = {row["module"]: row for row in result["rows"]}
    assert 0.8 < rows["Spinning"]["cpu"] < 1.6
    assert result["cpu"] == pytest.approx(sum(row["cpu"] for row in rows.values()), abs=0.05)
    shown = subprocess.run(
        [sys.executable, script, "--show", saved, "--against", saved], capture_output=True, text=True, check=True)
    assert "before / now: 1.00 of the time, 1.00 of the processor seconds" in shown.stdout


def test_a_command_that_fails_is_not_measured() -> None:
    done = subprocess.run(
        [sys.executable, build_times.__file__, "--", "false"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "nothing was measured" in done.stderr
