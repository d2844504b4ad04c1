"""The shares in which `make test` runs the Swift tests: every test is in exactly one."""

import re

import pytest

import swift_tests


def suites():
    """`Module.Suite` of every suite of the tests."""
    for file in sorted(swift_tests.ROOT.glob("Tests/*Tests/**/*.swift")):
        module = file.relative_to(swift_tests.ROOT / "Tests").parts[0]
        for name in re.findall(r"@Suite[^\n]*?\b(?:struct|class|enum) (\w+)", file.read_text()):
            yield f"{module}.{name}"


def takes(filters, suite):
    option, pattern = filters
    return bool(re.search(pattern, suite)) == (option == "--filter")


def test_every_suite_is_in_one_share():
    found = list(suites())
    assert len(found) > 100
    for suite in found:
        assert sum(takes(filters, suite) for filters in swift_tests.SHARES.values()) == 1, suite


@pytest.mark.parametrize("name", swift_tests.SHARES)
def test_no_share_is_empty(name):
    assert any(takes(swift_tests.SHARES[name], suite) for suite in suites())
