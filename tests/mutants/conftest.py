from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which test caught which bug."""
    reports = [
        report
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport)
        and report.when == "call"
        and dict(report.user_properties).get("bug")
    ]
    if not reports:
        return
    terminalreporter.section("seeded bugs")
    for report in reports:
        found = dict(report.user_properties)
        caught = [str(test).rpartition("::")[2] for test in found["caught"]]  # pyright: ignore
        terminalreporter.line(f"{found['bug']}\n    -> {', '.join(caught) or 'NOT NOTICED'}")
