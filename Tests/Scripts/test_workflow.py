"""The workflow file and .ci/run name targets that exist, and the same ones."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
RUN = (ROOT / ".ci/run").read_text()
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
JOBS = WORKFLOW["jobs"]


def made(script: str) -> list[str]:
    """The targets that lines of shell make."""
    lines = re.findall(r"^(?:step |nice )?make ([^>&\n]+)", script, re.MULTILINE)
    return [word for line in lines for word in line.split() if re.fullmatch(r"[a-z][\w-]*", word)]


def steps(job: str) -> list[str]:
    return [target for step in JOBS[job]["steps"] for target in made(step.get("run", ""))]


@pytest.mark.parametrize("job", JOBS)
def test_a_job_makes_targets_that_exist(job: str) -> None:
    assert steps(job)
    assert set(steps(job)) <= TARGETS
    assert JOBS[job]["timeout-minutes"] <= 90


def test_linux_does_what_ci_does() -> None:
    assert made(RUN) == steps("linux")
    for name, value in re.findall(r"(QUIPU_\w+)=(\w+)", RUN):
        assert JOBS["linux"]["env"][name] == value
    assert {"lint", "test", "docs-test", "notebooks", "examples", "install-test", "wheel-test"} <= set(made(RUN))


def test_the_course_is_taken_on_a_real_model() -> None:
    assert steps("course") == ["course"]


def test_architectures() -> None:
    runners = {entry["runner"] for entry in JOBS["linux"]["strategy"]["matrix"]["include"]}
    assert len(runners) == 2 and any(runner.endswith("-arm") for runner in runners)
    assert JOBS["macos"]["runs-on"].startswith("macos-")


def test_actions_have_versions() -> None:
    uses = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert uses
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})", action), action


def test_a_step_does_one_thing() -> None:
    for job in JOBS.values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)


def test_triggers() -> None:
    # YAML 1.1 reads the key `on` as true.
    assert {"push", "pull_request"} == set(WORKFLOW[True])
    assert WORKFLOW["permissions"] == {"contents": "read"}
