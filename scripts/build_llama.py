#!/usr/bin/env python3
"""Builds llama.cpp for this processor, from the source package of llama-cpp-python, and runs a product with it.

    scripts/build_llama.py options              # what is chosen, as options for CMake
    scripts/build_llama.py package PYTHON       # llama-cpp-python, into that Python's environment
    scripts/build_llama.py programs FOLDER      # llama-bench and llama-eval-callback, in FOLDER/build/bin

`-march=native` is not trusted: some virtual machines name AMX and kill whoever uses it. The instruction sets that ggml
has options for are chosen from /proc/cpuinfo, AMX never, and a small model is evaluated before a build counts as made.
Takes minutes. The version is that of Tests/Conformance/requirements-whole-pass.txt.
"""

import argparse
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tarfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
REQUIREMENTS = ROOT / "Tests/Conformance/requirements-whole-pass.txt"
# Its products are of quantised blocks, which ggml would hand to AMX.
MODEL = ROOT / "Tests/Fixtures/tiny-gqa-q4_1.gguf"
PROGRAMS = ["llama-bench", "llama-eval-callback"]

# ggml's options, and what /proc/cpuinfo must name for each.
X86 = {
    "SSE42": "sse4_2", "AVX": "avx", "F16C": "f16c", "FMA": "fma", "BMI2": "bmi2", "AVX2": "avx2",
    "AVX_VNNI": "avx_vnni", "AVX512": "avx512f avx512cd avx512vl avx512dq avx512bw",
    "AVX512_VBMI": "avx512vbmi", "AVX512_VNNI": "avx512_vnni", "AVX512_BF16": "avx512_bf16",
    "AMX_TILE": None, "AMX_INT8": None, "AMX_BF16": None,
}  # fmt: skip
# Extensions of -march on ARM, likewise.
ARM = {"dotprod": "asimddp", "fp16": "asimdhp fphp", "i8mm": "i8mm"}


def cpu_flags(cpuinfo: str) -> set[str]:
    """What all processors of /proc/cpuinfo have."""
    lines = [line.partition(":")[2].split() for line in cpuinfo.split("\n") if line.startswith(("flags", "Features"))]
    return set.intersection(*map(set, lines)) if lines else set()


def options(machine: str, cpuinfo: str) -> list[str]:
    """CMake options that name every instruction set."""
    flags = cpu_flags(cpuinfo)
    if machine in ("x86_64", "AMD64"):
        if not flags:
            sys.exit("build_llama.py: /proc/cpuinfo names no instruction sets, so that none can be chosen")
        chosen = {name: needs is not None and set(needs.split()) <= flags for name, needs in X86.items()}
        if not chosen["AVX512"]:
            chosen |= {name: False for name in chosen if name.startswith("AVX512")}
        return ["-DGGML_NATIVE=OFF", *(f"-DGGML_{name}={'ON' if on else 'OFF'}" for name, on in chosen.items())]
    if machine == "aarch64" and flags:
        has = [name for name, needs in ARM.items() if set(needs.split()) <= flags]
        return ["-DGGML_NATIVE=OFF", f"-DGGML_CPU_ARM_ARCH={'+'.join(['armv8.2-a', *has])}"]
    return []  # a Mac's compiler knows its processor


def options_here() -> list[str]:
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    return options(platform.machine(), cpuinfo.read_text() if cpuinfo.exists() else "")


def version() -> str:
    lines = REQUIREMENTS.read_text().split("\n")
    return next(line for line in lines if line.startswith("llama-cpp-python"))


def note(text: str):
    print(text, file=sys.stderr, flush=True)


def run(command: list, **keys):
    """A step of a build; its output is shown if it fails."""
    done = subprocess.run([str(word) for word in command], text=True, check=False, **keys)
    if done.returncode:
        note((done.stdout or "")[-4000:])
        sys.exit(f"build_llama.py: {command[0]} {ended(done.returncode)}")


def ended(status: int) -> str:
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"


def check(command: list, what: str):
    """Evaluates a model of quantised blocks: an instruction that the machine forbids shows here, not in a test."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        note(done.stderr[-2000:])
        sys.exit(
            f"build_llama.py: {what} was built with {' '.join(options_here())}, and {ended(done.returncode)} "
            f"evaluating {MODEL.name}")
    note(f"{what}: evaluated {MODEL.name}")


def announce():
    chosen = [option.removeprefix("-DGGML_").removesuffix("=ON") for option in options_here() if "=OFF" not in option]
    note(f"building {version()} with {', '.join(chosen) or 'what the compiler takes the processor to have'} …")


EVALUATE = """
import sys, llama_cpp
model = llama_cpp.Llama(sys.argv[1], n_ctx=64, n_threads=1, logits_all=True, verbose=False)
model.eval(list(range(1, 25)))
assert model.n_tokens == 24 and abs(model.scores[:24]).sum() > 0
"""


def build_package(python: str):
    """Installs llama-cpp-python, unless it is there already, built with these options."""
    prefix = subprocess.run(
        [python, "-c", "import sys; print(sys.prefix)"], capture_output=True, text=True, check=True).stdout.strip()
    stamp = pathlib.Path(prefix) / "llama-cpp-python.built"
    built = "\n".join([version(), *options_here()])
    if stamp.exists() and stamp.read_text() == built:
        return
    announce()
    stamp.unlink(missing_ok=True)
    # A wheel from pip's cache may have been built with other options.
    run([
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--force-reinstall",
        "--no-deps", version(),
    ], env=os.environ | {"CMAKE_ARGS": " ".join(options_here())})  # fmt: skip
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
    check([python, "-c", EVALUATE, MODEL], "llama-cpp-python")
    stamp.write_text(built)


def build_programs(folder: pathlib.Path):
    """The programs, from the same source, unless they are there already, built with these options."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp, built = folder / "build" / "options", "\n".join([version(), *options_here()])
    if stamp.exists() and stamp.read_text() == built:
        return
    announce()
    shutil.rmtree(folder / "build", ignore_errors=True)
    environment, source = folder / "venv", folder / "source"
    run([sys.executable, "-m", "venv", environment])
    pip = [environment / "bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", "cmake==4.4.5", "ninja==1.13.2"])
    run([*pip, "download", "--no-deps", "--no-binary", "llama-cpp-python", "-d", folder, version()])
    shutil.rmtree(source, ignore_errors=True)
    with tarfile.open(folder / f"llama_cpp_python-{version().partition('==')[2]}.tar.gz") as archive:
        archive.extractall(source, filter="data")
    (tree,) = source.glob("*/vendor/llama.cpp")
    cmake = environment / "bin/cmake"
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    run([
        cmake, "-S", tree, "-B", folder / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_MAKE_PROGRAM={environment / 'bin/ninja'}", "-DLLAMA_BUILD_TESTS=OFF", "-DLLAMA_BUILD_SERVER=OFF",
        "-DLLAMA_OPENSSL=OFF", *options_here(),
    ], **quiet)  # fmt: skip
    run([cmake, "--build", folder / "build", "--target", *PROGRAMS], **quiet)
    check([folder / "build/bin/llama-bench", "-m", MODEL, "-p", "16", "-n", "1", "-r", "1"], "llama-bench")
    stamp.write_text(built)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("options", help="print the options for CMake, one a line")
    commands.add_parser("package", help="llama-cpp-python").add_argument("python", help="the environment's Python")
    commands.add_parser("programs", help=", ".join(PROGRAMS)).add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.command == "options":
        print("\n".join(options_here()))
    elif arguments.command == "package":
        build_package(arguments.python)
    else:
        build_programs(arguments.folder.absolute())


if __name__ == "__main__":
    main()
