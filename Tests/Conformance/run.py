#!/usr/bin/env python3
"""Runs the conformance suite in a virtual environment of its own, which it makes on first use.

    python3 Tests/Conformance/run.py --quipu .build/release/quipu
    python3 Tests/Conformance/run.py --quipu .build/release/quipu --whole-pass    # builds llama.cpp first: minutes

Needs Python 3.11 or newer with pip, and a package index the first time. All options but --whole-pass are those of
suite.py; see README.md for what is compared with what.
"""

import os
import subprocess
import sys
import venv

HERE = os.path.dirname(os.path.abspath(__file__))
ENVIRONMENT = os.path.join(HERE, ".venv")
BUILD_LLAMA = os.path.join(HERE, "..", "..", "scripts", "build_llama.py")


def install(python, requirements):
    """Installs a requirements file unless the same text was installed before."""
    stamp = os.path.join(ENVIRONMENT, requirements + ".installed")
    with open(os.path.join(HERE, requirements)) as file:
        text = file.read()
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == text:
                return
    print(f"installing {requirements} …", file=sys.stderr, flush=True)
    command = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements]
    if subprocess.run(command, cwd=HERE).returncode != 0:
        sys.exit(f"pip could not install {requirements}; is there a connection to the package index?")
    with open(stamp, "w") as file:
        file.write(text)


def main():
    if sys.version_info < (3, 11):  # noqa: UP036 – that is what this says
        sys.exit(f"the suite needs Python 3.11 or newer; this is {sys.version.split()[0]}")
    python = os.path.join(ENVIRONMENT, "bin", "python")
    if not os.path.exists(python):
        venv.create(ENVIRONMENT, with_pip=True)
    install(python, "requirements.txt")
    if "--whole-pass" in sys.argv:
        subprocess.run([sys.executable, BUILD_LLAMA, "package", python], check=True)
    os.execv(python, [python, os.path.join(HERE, "suite.py"), *sys.argv[1:]])


if __name__ == "__main__":
    main()
