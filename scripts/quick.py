#!/usr/bin/env python3
"""What one change needs before it is committed: style of the changed files, a debug build, the tests of what changed.

    scripts/quick.py                # what is not committed, or else the last commit: make quick
    scripts/quick.py --since main   # all that this branch changed
    scripts/quick.py --list         # only say what would be run

A module's tests are those of the target named after it; a module without tests of its own has those of the modules that
import it. Tests of modules further down are left to `make test`.
"""

import argparse
import json
import os
import pathlib
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
ALWAYS = "ArchitectureTests"  # who may import what
# Folders of what a module reads, which Package.swift does not list under it.
ELSEWHERE = {"lessons/": "Lessons", "Tests/Fixtures/": "TestSupport"}
PYTHON_TESTS = {
    "scripts/": ["Tests/Scripts"], "Tests/Scripts/": ["Tests/Scripts"], "Tests/Docs/": ["Tests/Docs"],
    ".github/": ["Tests/Scripts"], ".ci/": ["Tests/Scripts"], "Makefile": ["Tests/Scripts"],
}  # fmt: skip


class Package:
    """Targets, their folders and what depends on them."""

    def __init__(self, description: dict):
        targets = [target for target in description["targets"] if target["type"] != "system"]
        self.folders = {}
        for target in targets:
            parent = "Tests" if target["type"] == "test" else "Sources"
            self.folders[target["name"]] = target.get("path") or f"{parent}/{target['name']}"
        self.tests = {target["name"] for target in targets if target["type"] == "test"}
        self.users: dict[str, set[str]] = {name: set() for name in self.folders}
        for target in targets:
            for dependency in target["dependencies"]:
                for kind in ("byName", "target"):
                    if kind in dependency and dependency[kind][0] in self.users:
                        self.users[dependency[kind][0]].add(target["name"])
        # They run the program and import nothing of it.
        self.users["quipu"].add("CommandTests")

    def target_of(self, file: str) -> str | None:
        for folder, name in ELSEWHERE.items():
            if file.startswith(folder):
                return name
        owners = [name for name, folder in self.folders.items() if file.startswith(folder + "/")]
        return max(owners, key=lambda name: len(self.folders[name]), default=None)

    def tests_of(self, target: str) -> set[str]:
        if target in self.tests:
            return {target}
        if f"{target}Tests" in self.tests:
            return {f"{target}Tests"}
        users = self.users[target]
        return users & self.tests or set().union(*(self.tests_of(user) for user in users))


def git(*arguments: str) -> list[str]:
    done = subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"quick.py: git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.split("\n")[:-1]


def changed(since: str | None) -> list[str]:
    if since:
        (base,) = git("merge-base", since, "HEAD")
        files = git("diff", "--name-only", base)
    else:
        files = git("diff", "--name-only", "HEAD")
    files += git("ls-files", "--others", "--exclude-standard")
    if not files and not since:
        files = git("diff", "--name-only", "HEAD~1", "HEAD")
    return sorted(set(files))


def plan(files: list[str], package: Package) -> list[list[str]]:
    """The commands, the quick ones first."""
    there = [file for file in files if (ROOT / file).exists()]
    commands = [["scripts/lint.sh", *there]] if there else []
    python = sys.executable
    suites = sorted({suite for file in files for start, named in PYTHON_TESTS.items()
                     if file.startswith(start) for suite in named})  # fmt: skip
    static = "not test_command and not test_output and not running_text"
    if any(file.endswith(".md") for file in files) and "Tests/Docs" not in suites:
        suites.append("Tests/Docs")
    commands += [[python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(["-k", static] * (suite == "Tests/Docs")),
                  suite] for suite in suites]  # fmt: skip
    targets = {target for file in files if (target := package.target_of(file))}
    if "Package.swift" in files or targets:
        tests = {ALWAYS}.union(*(package.tests_of(target) for target in targets))
        commands.append(["swift", "build", "--build-tests"])
        commands.append(["swift", "test", "--skip-build", "--filter", f"^({'|'.join(sorted(tests))})\\."])
    return commands


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--since", metavar="COMMIT", help="what changed since this branch left that one")
    parser.add_argument("--list", action="store_true", help="only say what would be run")
    options = parser.parse_args()
    files = changed(options.since)
    description = subprocess.run(
        ["swift", "package", "dump-package"], cwd=ROOT, capture_output=True, text=True, check=False)
    if description.returncode:
        sys.exit(description.stderr)
    commands = plan(files, Package(json.loads(description.stdout)))
    print(f"{len(files)} changed files", flush=True)
    for command in commands:
        shown = shlex.join(command)
        print(f"+ {shown if len(shown) < 200 else shown[:200] + ' …'}", flush=True)
        if not options.list and subprocess.run(command, cwd=ROOT, env=os.environ, check=False).returncode:
            sys.exit(1)


if __name__ == "__main__":
    main()
