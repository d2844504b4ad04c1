#!/usr/bin/env python3
"""Seconds from `pip install` to the first traced word, in a fresh environment without a network.

    first_word.py WHEEL
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time
import venv

PROMPT = "Mia has the red ball. Tom is at the lake. Who has the ball?"
WORD = "Mia"


def offline():
    """What to put before a command so that it has no network, where that can be."""
    command = ["unshare", "--map-root-user", "--net"]
    try:
        return command if subprocess.run([*command, "true"], capture_output=True).returncode == 0 else []
    except FileNotFoundError:
        return []


def first_word(command, environment, folder):
    """The moment at which the model's first word stands on the terminal."""
    run = subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    said = b""
    while not said.decode(errors="replace").partition(PROMPT)[2].strip().startswith(WORD):
        more = os.read(run.stdout.fileno(), 4096)
        if not more:
            said += run.stderr.read()
            sys.exit(f"expected the word {WORD} after the prompt, found:\n{said.decode()}")
        said += more
    moment = time.monotonic()
    run.communicate()
    if run.returncode != 0:
        sys.exit(f"quipu trace ended with status {run.returncode}")
    return moment


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    wheel = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        venv.create(f"{folder}/venv", with_pip=True, symlinks=True)
        environment = {"PATH": f"{folder}/venv/bin:/usr/bin:/bin", "HOME": folder, "LANG": "C.UTF-8"}
        before = offline()
        start = time.monotonic()
        subprocess.run(
            [*before, f"{folder}/venv/bin/pip", "install", "--quiet", "--no-index", "--disable-pip-version-check",
             str(wheel)], env=environment, cwd=folder, check=True)
        installed = time.monotonic()
        command = [*before, f"{folder}/venv/bin/quipu", "trace", "--prompt", PROMPT, "--generate", "4"]
        word = first_word(command, environment, folder)
    network = "without a network" if before else "the network was there"
    print(f"{wheel.name}, {wheel.stat().st_size / 1e6:.1f} MB, {network}")
    print(f"pip install      {installed - start:5.1f} s")
    print(f"first word       {word - installed:5.1f} s")
    print(f"together         {word - start:5.1f} s")


if __name__ == "__main__":
    main()
