"""Hands programs of code_answers.py in to `quipu lesson check`: a right one for each code task, which must be accepted,
and wrong ones, each of which must be refused. Prints how many of these were named. Where there is a Swift compiler, the
right programs of code-answers.swift must be accepted too.

    python code_conformance.py --quipu .build/release/quipu MODEL [MODEL …]

Needs NumPy. Exit status 0 if all passed.
"""

import argparse
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile

from code_answers import ANYWHERE, SOLUTIONS, WRONG


class Learner:
    def __init__(self, quipu, model, folder):
        self.quipu, self.folder = os.path.abspath(quipu), folder
        self.environment = {
            **os.environ, "XDG_STATE_HOME": folder, "HOME": folder, "QUIPU_PYTHON": sys.executable}
        self.run("start", "1", "--model", os.path.abspath(model))

    def run(self, *arguments):
        done = subprocess.run(
            [self.quipu, "lesson", arguments[0], "--json", *arguments[1:]], cwd=self.folder, env=self.environment,
            capture_output=True, text=True)
        if not done.stdout:
            raise RuntimeError(f"lesson {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout)

    def check(self, task, program):
        return self.hand_in(f"{task}.py", f"# quipu lesson code {task}\nimport numpy as np\n{program}")

    def hand_in(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return self.run("check", path)


def swift_answers():
    """The right programs in Swift, by task."""
    path = os.path.join(os.path.dirname(__file__), "../Fixtures/code-answers.swift")
    with open(path, encoding="utf-8") as file:
        _, *programs = file.read().split("\n// quipu lesson code ")
    return {program.split("\n")[0]: "// quipu lesson code " + program for program in programs}


def wrongs(task):
    for before, after in ANYWHERE + WRONG[task]:
        program = SOLUTIONS[task].replace(before, after)
        assert program != SOLUTIONS[task], f"{task}: {before} is not there"
        yield f"{before.strip()} -> {after.strip()}", program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quipu", required=True)
    parser.add_argument("--only", help="one task")
    parser.add_argument("--verbose", action="store_true", help="what is said of each program")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    failed = False
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            learner = Learner(options.quipu, model, folder)
            listed = [task["task"] for task in learner.run("code")["tasks"]]
            assert set(listed) == set(SOLUTIONS), f"there are {listed}"
            for task in [options.only] if options.only else listed:
                count = collections.Counter()
                verdict = learner.check(task, SOLUTIONS[task])
                if not verdict["is_right"]:
                    print(f"{task}: the right program was refused: {verdict['says']}")
                    failed = True
                for change, program in wrongs(task):
                    verdict = learner.check(task, program)
                    count["named" if verdict["is_known_mistake"] else "refused"] += 1
                    if verdict["is_right"]:
                        print(f"{task}: accepted, but wrong: {change}")
                        failed = True
                    elif options.verbose:
                        print(f"{task}: {change}: {verdict['says']}")
                if shutil.which("swiftc"):
                    verdict = learner.hand_in(f"{task}.swift", swift_answers()[task])
                    if not verdict["is_right"]:
                        print(f"{task}: the right program in Swift was refused: {verdict['says']}")
                        failed = True
                named = f"{count['named']} of {sum(count.values())} wrong programs are named"
                print(f"{task}: {named}, on {os.path.basename(model)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
