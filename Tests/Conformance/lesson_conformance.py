"""Answers the whole course through `quipu lesson …`, as a learner does, with answers computed in lesson_answers.py and
lesson_measures.py; and with wrong ones, each of which must be refused and, where it is a known mistake, named.

    python lesson_conformance.py --quipu .build/release/quipu MODEL [MODEL …]

Needs requirements.txt; ggml only for the bytes of a Q4_K block. Exit status 0 if all passed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import numpy as np

import ggml
import lesson_answers
import lesson_claims
import lesson_experts
import lesson_measures
from lesson_answers import Facts

ANSWERS = lesson_answers.ANSWERS | lesson_measures.ANSWERS | lesson_experts.ANSWERS | lesson_claims.ANSWERS
MISTAKES = lesson_answers.MISTAKES | lesson_measures.MISTAKES | lesson_experts.MISTAKES | lesson_claims.MISTAKES
CHANGES = lesson_answers.CHANGES | lesson_measures.CHANGES | lesson_claims.CHANGES

def q4_k(values):
    """A super-block as the real ggml writes it."""
    return ggml.quantize(ggml.Q4_K, values.astype(np.float32)[None, :])[0]


class Learner:
    def __init__(self, quipu, model, folder):
        self.quipu, self.folder = os.path.abspath(quipu), folder
        self.environment = {**os.environ, "XDG_STATE_HOME": folder, "HOME": folder}
        self.step = self.lesson("start", "1", "--model", os.path.abspath(model))
        self.known = {}

    @property
    def facts(self):
        """Of what the lesson is about: the learner's model, or one that the lesson brings."""
        trace = self.step["trace"]
        if trace not in self.known:
            self.known[trace] = Facts(self.step["model"], trace, q4_k)
            self.known[trace].quipu, self.known[trace].model = self.quipu, self.step["model"]
        return self.known[trace]

    def run(self, *arguments):
        return subprocess.run(
            [self.quipu, *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True)

    def lesson(self, *arguments):
        done = self.run("lesson", arguments[0], "--json", *arguments[1:])
        if not done.stdout:
            raise RuntimeError(f"lesson {' '.join(arguments)}: {done.stderr}")
        return json.loads(done.stdout)

    def check(self, answer):
        return self.lesson("check", *answer.split(" "))

    def typed(self, answer):
        """A choice is given by the text that it begins with; the order of choices is the program's."""
        if isinstance(answer, tuple):
            choices = self.step["question"]["choices"]
            fitting = [i for i, text in enumerate(choices) if text.startswith(answer[0])]
            if not fitting:
                raise RuntimeError(f"{self.step['question']['id']}: none of {choices} begins with {answer[0]!r}")
            index = choices.index(answer[0]) if answer[0] in choices else fitting[0]
            return f"{chr(97 + index)} {answer[1]!r}".replace("np.float64(", "").replace(")", "")
        return str(answer)

    def wrongs(self, question, right):
        """Answers that must be refused: blank, zero, and the right one made a third larger, or another choice."""
        yield ""
        if question["kind"] in ("number", "token"):
            yield "0"
        head, _, tail = right.rpartition(" ")
        if question["kind"] in ("number", "truth") or (head and question["kind"] == "choice"):
            yield f"{head} {float(tail) * 1.37 + 2}".strip()
        if question["kind"] == "truth":
            yield ("false" if right.lower().startswith("true") else "true") + " " + tail
        if question["kind"] == "address":
            yield right.replace("embd", "l_out-0")

    def question(self, problems):
        question = self.step["question"]
        key = f"{self.step['lesson']}/{question['id']}"
        if question["kind"] == "change":
            return self.change(key, problems)
        if key not in ANSWERS:
            return problems.append(f"{key}: no answer is known here")
        right = self.typed(ANSWERS[key](self.facts))
        for wrong in self.wrongs(question, right):
            if wrong != right and self.check(wrong)["outcome"] == "right":
                problems.append(f"{key}: '{wrong}' was accepted, the answer is {right}")
        if key in MISTAKES:
            mistake, words = MISTAKES[key]
            verdict = self.check(self.typed(mistake(self.facts)))
            if verdict["outcome"] != "wrong" or words not in (verdict["says"] or ""):
                problems.append(f"{key}: the mistake '{words}' was met with {verdict['outcome']}: {verdict['says']}")
        verdict = self.check(right)
        if verdict["outcome"] != "right":
            problems.append(f"{key}: {right} was refused: {verdict['says']}")

    def change(self, key, problems):
        """Makes what must be refused and what must be accepted, with the program's own commands, and hands it in."""
        if key not in CHANGES:
            return problems.append(f"{key}: no change is known here")
        for outcome, arguments in zip(("wrong", "right"), CHANGES[key](self.facts), strict=True):
            made = os.path.join(self.folder, f"{key.replace('/', '-')}-{outcome}")
            done = self.run(*[made if argument == "OUT" else argument for argument in arguments])
            if done.returncode != 0:
                problems.append(f"{key}: {' '.join(arguments)}: {done.stderr}")
                continue
            verdict = self.check(made)
            if verdict["outcome"] != outcome:
                problems.append(f"{key}: {' '.join(arguments)} was found {verdict['outcome']}: {verdict['says']}")

    def course(self, first):
        problems, count = [], 0
        self.step = self.lesson("start", first)
        while True:
            if self.step["question"]:
                self.question(problems)
                count += 1
            if self.run("lesson", "next").returncode != 0:
                break
            self.step = self.lesson("start")
        solved = sum(lesson["solved"] for lesson in self.lesson("progress")["lessons"])
        if solved != count:
            problems.append(f"{solved} of {count} questions are solved")
        return count, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quipu", required=True)
    parser.add_argument("--first", default="0", help="the lesson to begin with")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    failed = False
    for model in options.models:
        with tempfile.TemporaryDirectory() as folder:
            count, problems = Learner(options.quipu, model, folder).course(options.first)
        print(f"{'FAILED' if problems else 'ok'}  {count} questions on {os.path.basename(model)}")
        for problem in problems:
            print("   ", problem)
        failed = failed or bool(problems)
    sys.exit(failed)


if __name__ == "__main__":
    main()
