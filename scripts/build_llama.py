#!/usr/bin/env python3
"""Builds llama.cpp for this processor, from the source package of llama-cpp-python, and runs a product with it.

    scripts/build_llama.py options              # what is chosen, as options for CMake
    scripts/build_llama.py package PYTHON       # llama-cpp-python, into that Python's environment
    scripts/build_llama.py programs FOLDER      # llama-bench and llama-eval-callback, in FOLDER/build/bin
    scripts/build_llama.py programs FOLDER --kernels avx2    # the same without newer instructions: build-avx2/bin
    scripts/build_llama.py libraries FOLDER --neon i8mm      # ggml for ARM, to run under an emulator: build-neon-i8mm

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
# What a set of Quipu's kernels may use of these.
SETS = {"portable": set(), "avx2": {"SSE42", "AVX", "F16C", "FMA", "BMI2", "AVX2"}}
SETS["avxvnni"] = SETS["avx2"] | {"AVX_VNNI"}
SETS["avx512"] = set(X86)
# Extensions of -march on ARM, likewise.
ARM = {"dotprod": "asimddp", "fp16": "asimdhp fphp", "i8mm": "i8mm"}
# What ggml is compiled for where it is counted under an emulator.
NEON = {"dotprod": "armv8.2-a+dotprod+fp16", "i8mm": "armv8.2-a+dotprod+fp16+i8mm"}


def cpu_flags(cpuinfo: str) -> set[str]:
    """What all processors of /proc/cpuinfo have."""
    lines = [line.partition(":")[2].split() for line in cpuinfo.split("\n") if line.startswith(("flags", "Features"))]
    return set.intersection(*map(set, lines)) if lines else set()


def options(machine: str, cpuinfo: str, kernels: str = "avx512") -> list[str]:
    """CMake options that name every instruction set: on x86 those of the set of kernels that the processor has."""
    flags = cpu_flags(cpuinfo)
    if machine in ("x86_64", "AMD64"):
        if not flags:
            sys.exit("build_llama.py: /proc/cpuinfo names no instruction sets, so that none can be chosen")
        chosen = {
            name: needs is not None and name in SETS[kernels] and set(needs.split()) <= flags
            for name, needs in X86.items()
        }
        if not chosen["AVX512"]:
            chosen |= {name: False for name in chosen if name.startswith("AVX512")}
        return ["-DGGML_NATIVE=OFF", *(f"-DGGML_{name}={'ON' if on else 'OFF'}" for name, on in chosen.items())]
    if machine == "aarch64" and flags:
        has = [name for name, needs in ARM.items() if set(needs.split()) <= flags]
        return ["-DGGML_NATIVE=OFF", f"-DGGML_CPU_ARM_ARCH={'+'.join(['armv8.2-a', *has])}"]
    return []  # a Mac's compiler knows its processor


def options_here(kernels: str = "avx512") -> list[str]:
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    return options(platform.machine(), cpuinfo.read_text() if cpuinfo.exists() else "", kernels)


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


def check(command: list, what: str, chosen: list[str]):
    """Evaluates a model of quantised blocks: an instruction that the machine forbids shows here, not in a test."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        note(done.stderr[-2000:])
        sys.exit(
            f"build_llama.py: {what} was built with {' '.join(chosen)}, and {ended(done.returncode)} "
            f"evaluating {MODEL.name}")
    note(f"{what}: evaluated {MODEL.name}")


def announce(chosen: list[str]):
    on = [option for option in chosen if option.startswith("-DGGML_") and not option.endswith("=OFF")]
    names = [option.removeprefix("-DGGML_").removesuffix("=ON") for option in on]
    default = "no extensions" if chosen else "what the compiler takes the processor to have"
    note(f"building {version()} with {', '.join(names) or default} …")


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
    chosen = options_here()
    built = "\n".join([version(), *chosen])
    if stamp.exists() and stamp.read_text() == built:
        return
    announce(chosen)
    stamp.unlink(missing_ok=True)
    # A wheel from pip's cache may have been built with other options.
    run([
        python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--force-reinstall",
        "--no-deps", version(),
    ], env=os.environ | {"CMAKE_ARGS": " ".join(chosen)})  # fmt: skip
    run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS])
    check([python, "-c", EVALUATE, MODEL], "llama-cpp-python", chosen)
    stamp.write_text(built)


def tools(folder: pathlib.Path) -> list:
    """CMake with what it builds by, in the folder's environment."""
    environment = folder / "venv"
    run([sys.executable, "-m", "venv", environment])
    run([*pip(folder), "install", "cmake==4.4.5", "ninja==1.13.2"])
    return [environment / "bin/cmake", "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={environment / 'bin/ninja'}"]


def pip(folder: pathlib.Path) -> list:
    return [folder / "venv/bin/python", "-m", "pip", "--disable-pip-version-check", "--quiet"]


def source(folder: pathlib.Path) -> pathlib.Path:
    """llama.cpp's tree, fetched unless it is there already."""
    name = version().replace("llama-cpp-python==", "llama_cpp_python-")
    tree = folder / "source" / name / "vendor/llama.cpp"
    if not tree.exists():
        run([*pip(folder), "download", "--no-deps", "--no-binary", "llama-cpp-python", "-d", folder, version()])
        partial = folder / "source.part"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(folder / "source", ignore_errors=True)
        with tarfile.open(folder / f"{name}.tar.gz") as archive:
            archive.extractall(partial, filter="data")
        partial.rename(folder / "source")
    return tree


def build(folder: pathlib.Path, name: str, chosen: list[str], targets: list[str], finished):
    """Targets of llama.cpp in a folder of that name, unless it was built with these options already."""
    there = folder / name
    stamp, built = there / "options", "\n".join([version(), *chosen])
    if stamp.exists() and stamp.read_text() == built:
        return
    folder.mkdir(parents=True, exist_ok=True)
    announce(chosen)
    shutil.rmtree(there, ignore_errors=True)
    cmake, *with_tools = tools(folder)
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    run([
        cmake, *with_tools, "-S", source(folder), "-B", there, "-DCMAKE_BUILD_TYPE=Release", "-DLLAMA_BUILD_TESTS=OFF",
        "-DLLAMA_BUILD_SERVER=OFF", "-DLLAMA_OPENSSL=OFF", *chosen,
    ], **quiet)  # fmt: skip
    run([cmake, "--build", there, "--target", *targets], **quiet)
    finished(there)
    stamp.write_text(built)


def build_programs(folder: pathlib.Path, kernels: str | None):
    """The programs, and that one of them evaluates a model."""
    chosen = options_here(kernels) if kernels else options_here()

    def evaluate(there: pathlib.Path):
        check([there / "bin/llama-bench", "-m", MODEL, "-p", "16", "-n", "1", "-r", "1"], "llama-bench", chosen)

    build(folder, f"build-{kernels}" if kernels else "build", chosen, PROGRAMS, evaluate)


def neon_options(kernels: str) -> list[str]:
    """ggml's defaults but for OpenMP, for 64-bit ARM whatever this machine is; libraries to link a program with."""
    return [
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64", "-DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc",
        "-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++", "-DBUILD_SHARED_LIBS=OFF", "-DGGML_OPENMP=OFF",
        "-DGGML_NATIVE=OFF", f"-DGGML_CPU_ARM_ARCH={NEON[kernels]}",
    ]  # fmt: skip


def build_libraries(folder: pathlib.Path, kernels: str):
    """ggml alone; prints the tree, whose headers it needs, and where the libraries are."""
    name = f"build-neon-{kernels}"
    build(folder, name, neon_options(kernels), ["ggml-base", "ggml-cpu"], lambda there: None)
    print(source(folder), folder / name / "ggml/src", sep="\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("options", help="print the options for CMake, one a line")
    commands.add_parser("package", help="llama-cpp-python").add_argument("python", help="the environment's Python")
    programs = commands.add_parser("programs", help=", ".join(PROGRAMS))
    programs.add_argument("folder", type=pathlib.Path)
    programs.add_argument("--kernels", choices=SETS, help="only instructions of this set of Quipu's kernels (x86)")
    libraries = commands.add_parser("libraries", help="ggml for 64-bit ARM, without programs")
    libraries.add_argument("folder", type=pathlib.Path)
    libraries.add_argument("--neon", choices=NEON, required=True, help="the newest instructions that it may use")
    arguments = parser.parse_args()
    if arguments.command == "options":
        print("\n".join(options_here()))
    elif arguments.command == "package":
        build_package(arguments.python)
    elif arguments.command == "libraries":
        build_libraries(arguments.folder.absolute(), arguments.neon)
    else:
        build_programs(arguments.folder.absolute(), arguments.kernels)


if __name__ == "__main__":
    main()
