"""Which instruction sets llama.cpp is built with."""

import subprocess
import sys

import pytest

import build_llama

SAPPHIRE_RAPIDS = (
    "flags\t\t: fpu sse4_2 fma f16c avx avx2 bmi1 bmi2 avx512f avx512dq avx512cd avx512bw avx512vl avx512vbmi avx_vnni "
    "avx512_vnni avx512_bf16 amx_bf16 amx_tile amx_int8\n"
)
HASWELL = "flags\t\t: fpu sse4_2 fma f16c avx avx2 bmi1 bmi2\n"


def on(options: list[str]) -> set[str]:
    return {option.removeprefix("-DGGML_").removesuffix("=ON") for option in options if option.endswith("=ON")}


def test_amx_is_never_chosen() -> None:
    options = build_llama.options("x86_64", SAPPHIRE_RAPIDS)
    assert options[0] == "-DGGML_NATIVE=OFF"
    assert on(options) == {name for name in build_llama.X86 if not name.startswith("AMX")}
    assert {"-DGGML_AMX_TILE=OFF", "-DGGML_AMX_INT8=OFF", "-DGGML_AMX_BF16=OFF"} <= set(options)


def test_only_what_every_core_has() -> None:
    assert on(build_llama.options("x86_64", HASWELL)) == {"SSE42", "AVX", "F16C", "FMA", "BMI2", "AVX2"}
    assert build_llama.options("x86_64", SAPPHIRE_RAPIDS + HASWELL) == build_llama.options("x86_64", HASWELL)
    # A part of AVX-512 is none: ggml's option means five sets.
    assert "AVX512" not in on(build_llama.options("x86_64", HASWELL.replace("bmi2", "bmi2 avx512f avx512_vnni")))
    assert "AVX512_VNNI" not in on(build_llama.options("x86_64", HASWELL.replace("bmi2", "bmi2 avx512f avx512_vnni")))


def test_a_set_of_kernels_limits_the_choice() -> None:
    assert build_llama.options("x86_64", SAPPHIRE_RAPIDS, "avx2") == build_llama.options("x86_64", HASWELL)
    assert on(build_llama.options("x86_64", SAPPHIRE_RAPIDS, "avxvnni")) - {"AVX_VNNI"} == on(
        build_llama.options("x86_64", HASWELL))
    assert on(build_llama.options("x86_64", HASWELL, "avxvnni")) == on(build_llama.options("x86_64", HASWELL))
    assert on(build_llama.options("x86_64", SAPPHIRE_RAPIDS, "portable")) == set()


def test_arm() -> None:
    cpuinfo = "Features\t: fp asimd fphp asimdhp asimddp\nFeatures\t: fp asimd fphp asimdhp asimddp i8mm\n"
    assert build_llama.options("aarch64", cpuinfo) == [
        "-DGGML_NATIVE=OFF", "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16"]
    assert build_llama.options("arm64", "") == []


def test_nothing_is_chosen_from_nothing() -> None:
    with pytest.raises(SystemExit, match="names no instruction sets"):
        build_llama.options("x86_64", "")


def test_a_signal_is_named() -> None:
    killed = [sys.executable, "-c", "import os; os.kill(os.getpid(), 4)"]
    with pytest.raises(SystemExit, match=r"was built with .* and was killed by SIGILL evaluating tiny"):
        build_llama.check(killed, "llama.cpp", ["-DGGML_AVX=ON"])
    build_llama.check([sys.executable, "-c", ""], "llama.cpp", [])


def test_options_are_printed() -> None:
    printed = subprocess.run(
        [sys.executable, build_llama.__file__, "options"], capture_output=True, text=True, check=True).stdout
    assert printed.split() == build_llama.options_here()


def test_arm_under_an_emulator() -> None:
    options = build_llama.neon_options("dotprod")
    assert "-DCMAKE_SYSTEM_PROCESSOR=aarch64" in options and "-DGGML_NATIVE=OFF" in options
    assert options[-1] == "-DGGML_CPU_ARM_ARCH=armv8.2-a+dotprod+fp16"
    assert build_llama.neon_options("i8mm")[-1] == options[-1] + "+i8mm"
