"""The program with everything but glibc linked in, from the objects that `swift build` made.

`swift build --static-swift-stdlib` would compile all of it again, only to name other libraries. Here the same objects
are linked once more, which takes seconds.

    program.py BUILD OUT        # BUILD is .build/release, OUT the file
"""

import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile

# What every Linux has: parts of glibc itself.
SYSTEM = re.compile(r"^(libc|libm|libdl|libpthread|librt)\.so\.\d+$|^ld-linux.*\.so\.\d+$|^ld64\.so\.\d+$")
STATIC = ["libsqlite3.a", "libcrypto.a", "libstdc++.a"]
# Their autolink entries name the static libraries of Swift, which those of the objects do not.
IMPORTS = "import Dispatch\nimport Foundation\nimport Synchronization\n"


def toolchain():
    """Swift's folder of `bin` and `share`."""
    swiftc = shutil.which("swiftc")
    if not swiftc:
        sys.exit("swiftc is not on the PATH; see swift.org/install")
    done = subprocess.run([swiftc, "-print-target-info"], capture_output=True, text=True, check=True)
    resources = re.search(r'"runtimeResourcePath": "(.*)"', done.stdout).group(1)
    return pathlib.Path(resources).resolve().parent.parent


def tool(name):
    """A tool of the toolchain, else of the system."""
    found = shutil.which(str(toolchain() / "bin" / name)) or shutil.which(name) or shutil.which(name[5:])
    if not found:
        sys.exit(f"{name}: found neither in Swift's toolchain nor on the PATH")
    return found


def link(build, out):
    """Links the program of a build folder into the file `out`."""
    objects = build / "quipu.product/Objects.LinkFileList"
    if not objects.is_file():
        sys.exit(f"{objects}: found no such file; run `swift build -c release --product quipu` first")
    out.parent.mkdir(parents=True, exist_ok=True)
    if platform.system() != "Linux":
        shutil.copy2(build / "quipu", out)
        return
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        (scratch / "imports.swift").write_text(IMPORTS)
        for name in STATIC:
            path = subprocess.run(
                [tool("clang"), f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
            if not pathlib.Path(path).is_absolute():
                sys.exit(f"{name}: found no such library; install libsqlite3-dev, libssl-dev and libstdc++-dev")
            (scratch / name).symlink_to(path)
        command = [
            "swiftc", "-static-stdlib", "-parse-as-library", "-emit-executable", "-use-ld=lld",
            "-o", str(out.resolve()),
            "imports.swift", f"@{objects.resolve()}", "-L", ".", "-Xclang-linker", "-static-libgcc",
            # As SwiftPM links it; what is not needed left out, and no names left in.
            *("-Xlinker", "--defsym=main=quipu_main"), *("-Xlinker", "--gc-sections"),
            *("-Xlinker", "--no-export-dynamic"), *("-Xlinker", "-s"),
        ]
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"linking failed:\n{done.stderr}")
    foreign = [name for name in needs(out)[0] if not SYSTEM.match(name)]
    if foreign:
        sys.exit(f"{out}: needs {', '.join(foreign)}, expected nothing but glibc")


def needs(program):
    """The shared libraries that a program needs, and the newest version of glibc among its symbols'."""
    done = subprocess.run([tool("llvm-objdump"), "-p", str(program)], capture_output=True, text=True, check=True)
    libraries = re.findall(r"^\s*NEEDED\s+(\S+)", done.stdout, re.M)
    versions = [tuple(map(int, text.split("."))) for text in re.findall(r"\bGLIBC_(\d+(?:\.\d+)+)", done.stdout)]
    return libraries, max(versions, default=(0, 0))[:2]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    link(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
