"""How many commands ran, and why others did not: printed with every run."""

import collections

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    stats = terminalreporter.stats
    outcomes = {
        outcome: [report for report in stats.get(outcome, []) if "::test_command[" in report.nodeid]
        for outcome in ("passed", "failed", "skipped")
    }
    if not any(outcomes.values()):
        return
    counts = ", ".join(f"{len(reports)} {outcome}" for outcome, reports in outcomes.items())
    terminalreporter.write_line(f"commands shown in pages: {counts}")
    reasons = collections.Counter(report.longrepr[2].removeprefix("Skipped: ") for report in outcomes["skipped"])
    for reason, count in reasons.items():
        terminalreporter.write_line(f"  not run: {count} ({reason})")
