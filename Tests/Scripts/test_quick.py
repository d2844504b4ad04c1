"""What `make quick` runs for which change."""

import json
import subprocess

import pytest

import quick


@pytest.fixture(scope="module")
def package() -> quick.Package:
    done = subprocess.run(
        ["swift", "package", "dump-package"], cwd=quick.ROOT, capture_output=True, text=True, check=True)
    return quick.Package(json.loads(done.stdout))


def suites(files: list[str], package: quick.Package) -> set[str]:
    filters = [command[-1] for command in quick.plan(files, package) if command[:2] == ["swift", "test"]]
    return set(filters[0].removeprefix("^(").removesuffix(")\\.").split("|")) if filters else set()


CHANGES = {
    "Sources/GGUF/File.swift": {"GGUFTests"},
    "Tests/GGUFTests/FileTests.swift": {"GGUFTests"},
    # No tests are named after these: those of what imports them.
    "Sources/SIMDKernels/avx2.c": {"OperationsTests", "QuantizationTests", "RecordingTests"},
    "Sources/ReportPage/Page/base.js": {"PresentationTests"},
    "Sources/quipu/Quipu.swift": {"CommandTests"},
    "models/EmbeddedModel.swift": {"CommandTests"},
    "lessons/01-gguf.md": {"LessonsTests"},
    "Package.swift": set(),
}


@pytest.mark.parametrize("file", CHANGES)
def test_a_change_has_the_tests_of_its_module(file: str, package: quick.Package) -> None:
    assert suites([file], package) == CHANGES[file] | {"ArchitectureTests"}


def test_no_swift_no_build(package: quick.Package) -> None:
    commands = quick.plan(["scripts/setup.sh", "README.md"], package)
    assert [command[0] for command in commands] == ["scripts/lint.sh", quick.sys.executable, quick.sys.executable]
    assert quick.plan([], package) == []


def test_what_was_deleted_is_not_linted(package: quick.Package) -> None:
    commands = quick.plan(["Sources/GGUF/Gone.swift"], package)
    assert [command[0] for command in commands] == ["swift", "swift"]


def test_support_of_tests_concerns_all_that_use_it(package: quick.Package) -> None:
    users = package.users["TestSupport"] & package.tests
    assert "RecordingTests" in users and users <= suites(["Tests/TestSupport/Models.swift"], package)
