#!/usr/bin/env python3
"""Renders chat templates with Quipu's interpreter and with Jinja2, and compares the texts byte by byte.

    pip install -r requirements.txt
    swift build -c release --product TemplateDriver
    python Tests/Conformance/template_conformance.py [--templates FOLDER] [--seed N] [--only NAME] [--show]

Templates: those that llama.cpp ships (`models/templates` of the source package of llama-cpp-python, fetched into
downloads/ unless a folder is named), with several conversations each; small ones that name each construct
(`template_snippets.py`); and random expressions of the seed.

The authority is Jinja2 with what Hugging Face's `apply_chat_template` gives it: trim_blocks, lstrip_blocks, loop
controls, `generation`, `tojson` without escapes, `raise_exception`, `strftime_now`. One thing is wider: its sandbox
forbids `append` and `pop`, which templates written for llama.cpp use; here they are allowed.

Where Jinja2 stops with an error, Quipu must too. Quipu may refuse by name what it does not know: that is listed. The
exit status is 1 if a text differs, or only one of the two renders and Quipu did not refuse by name.
"""

import argparse
import collections
import datetime
import json
import pathlib
import random
import subprocess
import sys
import tarfile
import warnings

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

import template_conversations
import template_snippets

ROOT = pathlib.Path(__file__).resolve().parents[2]
NOW = datetime.datetime(2026, 2, 3, 14, 5, 6)


class Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what a model is trained on; the text is rendered as it is."""

    tags = frozenset({"generation"})

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_text"), [], [], body).set_lineno(line)

    def _text(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = jinja2.sandbox.SandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


class Quipu:
    def __init__(self, driver):
        self.process = subprocess.Popen([driver], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def render(self, template, data):
        now = [NOW.year, NOW.month, NOW.day, NOW.hour, NOW.minute, NOW.second]
        entries = [[tagged(key), tagged(value)] for key, value in data.items()]
        print(json.dumps({"template": template, "data": entries, "now": now}), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"the driver ended on {template[:500]!r}")
        return json.loads(line)


def tagged(value):
    """Data with its kinds, in the order of its keys."""
    if value is None:
        return ["n", None]
    if isinstance(value, bool):
        return ["b", value]
    if isinstance(value, dict):
        return ["d", [[tagged(key), tagged(item)] for key, item in value.items()]]
    if isinstance(value, list):
        return ["l", [tagged(item) for item in value]]
    return [{str: "s", int: "i", float: "f"}[type(value)], value]


def expected(env, template, data):
    """The text, or the error as an exception."""
    try:
        return env.from_string(template).render(**json.loads(json.dumps(data)))
    except Exception as error:
        return error


class Comparison:
    def __init__(self, quipu, show):
        self.quipu, self.show, self.env = quipu, show, environment()
        self.counts = collections.Counter()
        self.refused, self.different = {}, []

    def compare(self, name, template, data):
        """`equal`, `stopped` by both, `refused` by name, or `different`."""
        want, got = expected(self.env, template, data), self.quipu.render(template, data)
        if isinstance(want, Exception):
            kind = "stopped" if "error" in got else "different"
        elif got.get("kind") == "unsupported":
            kind = "refused"
            self.refused[name] = got["error"]
        else:
            kind = "equal" if got.get("text") == want else "different"
        self.counts[kind] += 1
        if kind == "different":
            self.different.append(name)
            print(f"DIFFERENT  {name}\n    Jinja2: {shown(want, got)}\n    Quipu:  {shown(got.get('text', got), want)}")
        elif self.show:
            print(f"{kind:9}  {name}" + (f"\n    {want!r}\n    {got['error']}" if kind == "stopped" else ""))
        return kind


def shown(text, other):
    """Around the first character that differs."""
    other = other.get("text", "") if isinstance(other, dict) else other
    if not isinstance(text, str) or not isinstance(other, str):
        return repr(text)[:600]
    start = next((i for i, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), min(len(text), len(other)))
    return f"at {start}: {text[max(0, start - 60) : start + 80]!r}"


def source_templates():
    """The folder of templates out of the source package, which is fetched once."""
    version = (ROOT / "Tests/Conformance/requirements-whole-pass.txt").read_text().split("\n")
    version = next(line for line in version if line.startswith("llama-cpp-python"))
    folder = ROOT / "downloads"
    archive = folder / f"llama_cpp_python-{version.partition('==')[2]}.tar.gz"
    target = folder / "templates"
    if not archive.exists():
        print(f"fetching the source of {version} …", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python"]
        subprocess.run([*command, "-d", folder, version], check=True)
    with tarfile.open(archive) as source:
        members = [member for member in source.getmembers() if "/models/templates/" in member.name]
        target.mkdir(parents=True, exist_ok=True)
        for member in members:
            if member.isfile():
                (target / pathlib.Path(member.name).name).write_bytes(source.extractfile(member).read())
    return target


def shipped(comparison, folder, only):
    paths = sorted(path for path in folder.glob("*.jinja") if only in path.name)
    conversations = template_conversations.ALL
    whole = 0
    rows = {}
    for path in paths:
        template = path.read_bytes().decode()
        kinds = [comparison.compare(f"{path.name}, {name}", template, data) for name, data in conversations.items()]
        rows[path.name] = kinds
        whole += all(kind in ("equal", "stopped") for kind in kinds) and "equal" in kinds
    print(f"\n{len(paths)} templates, {len(conversations)} conversations each: {whole} templates render as Jinja2 does")
    for name, kinds in rows.items():
        others = collections.Counter(kind for kind in kinds if kind not in ("equal", "stopped"))
        if others or "equal" not in kinds:
            print(f"    {name}: {dict(collections.Counter(kinds))}")
    for name, why in comparison.refused.items():
        print(f"    refused: {name}: {why}")
    return whole == len(paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--driver", default=ROOT / ".build/release/TemplateDriver")
    parser.add_argument("--templates", type=pathlib.Path, help="a folder of .jinja files")
    parser.add_argument("--only", default="", help="templates whose names hold this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--random", type=int, default=2000, help="random expressions")
    parser.add_argument("--show", action="store_true", help="a line for every comparison")
    options = parser.parse_args()

    warnings.simplefilter("ignore", SyntaxWarning)  # of random expressions that Jinja2 compiles
    comparison = Comparison(Quipu(options.driver), options.show)
    folder = options.templates or source_templates()
    shipped(comparison, folder, options.only)
    print(f"templates: {dict(comparison.counts)}")
    different = list(comparison.different)
    if not options.only:
        for title, templates in [
            ("snippets", template_snippets.ALL),
            ("random expressions", template_snippets.generated(random.Random(options.seed), options.random)),
        ]:
            part = Comparison(comparison.quipu, options.show)
            for template in templates:
                part.compare(template, template, template_snippets.DATA)
            print(f"{title}: {dict(part.counts)}")
            for name, why in list(part.refused.items())[:40]:
                print(f"    refused: {name}: {why}")
            different += part.different
    print(f"{len(different)} differences")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
