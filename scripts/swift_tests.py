#!/usr/bin/env python3
"""Builds the Swift tests and runs them in shares beside each other.

    scripts/swift_tests.py [--build-only] [FLAGS of `swift build`]

Swift Testing runs as many tests at once as there are cores. Those of the commands mostly wait for the programs that
they start, so one run leaves a core idle for much of its time. Shows what fails, and the summary of each share.
"""

import os
import pathlib
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHARES = {
    "commands, A to D": ["--filter", r"^CommandTests\.[A-D]"],
    "commands, E to K": ["--filter", r"^CommandTests\.[E-K]"],
    "commands, L to Q": ["--filter", r"^CommandTests\.[L-Q]"],
    "commands, others": ["--filter", r"^CommandTests\.[^A-Q]"],
    "everything else": ["--skip", r"^CommandTests\."],
}


def build(flags: list[str]) -> pathlib.Path:
    """The program of all tests."""
    subprocess.run(["swift", "build", *flags, "--build-tests"], cwd=ROOT, check=True)
    shown = subprocess.run(["swift", "build", *flags, "--show-bin-path"], cwd=ROOT, check=True, capture_output=True)
    return pathlib.Path(shown.stdout.decode().strip()) / "quipuPackageTests.xctest"


def installed(build: pathlib.Path) -> pathlib.Path:
    """The program as it is installed: it starts faster, and the tests start it thousands of times."""
    out = build / "installed/quipu"
    if subprocess.run([sys.executable, ROOT / "scripts/packaging/program.py", build, out]).returncode:
        print("The tests start the program as it was built.", file=sys.stderr)
        return build / "quipu"
    for resources in (*build.glob("*.resources"), *build.glob("*.bundle")):
        link = out.parent / resources.name
        link.unlink(missing_ok=True)
        link.symlink_to(resources)
    return out


class Share:
    """Some of the tests, in a process of their own, with the program of quipu that they start."""

    def __init__(self, tests: pathlib.Path, quipu: pathlib.Path, name: str, filters: list[str]) -> None:
        self.log = tests.parent / f"tests, {name}.log"
        self.process = subprocess.Popen(
            [tests, "--testing-library", "swift-testing", *filters],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1", "QUIPU_BINARY": str(quipu)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.summary = ""
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self) -> None:
        """Shows what failed or was skipped, with what is said of it; the rest goes to the log alone."""
        is_shown = False
        with self.log.open("w") as log:
            for line in self.process.stdout or []:
                log.write(line)
                if " Test run with " in line and line[0] in "✔✘":
                    self.summary = line
                elif line[0] in "◇✔":
                    is_shown = False
                elif line[0] in "✘➜⚠" or "Fatal error" in line:
                    is_shown = True
                if is_shown:
                    print(line, end="", flush=True)

    def end(self) -> bool:
        status = self.process.wait()
        self.thread.join()
        print(self.summary or f"The tests ended with status {status} and no summary.\n", end="")
        if status or not self.summary:
            print(f"All that was said: {self.log}")
        return status == 0 and bool(self.summary)


def main() -> int:
    flags = sys.argv[1:]
    tests = build([flag for flag in flags if flag != "--build-only"])
    if "--build-only" in flags:
        return 0
    quipu = installed(tests.parent)
    shares = [Share(tests, quipu, name, filters) for name, filters in SHARES.items()]
    failed = sum(not share.end() for share in shares)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
