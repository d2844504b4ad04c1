"""What a command's memory and time are taken from, and the table of them."""

import argparse
import json
import subprocess
import sys

import memory_table

ALLOCATE = "import sys; block = bytearray(int(sys.argv[1])); block[::4096] = b'x' * len(block[::4096])"


def test_memory_is_what_was_resident() -> None:
    little = memory_table.measure([sys.executable, "-c", ALLOCATE, "1"], 4 << 30)
    much = memory_table.measure([sys.executable, "-c", ALLOCATE, str(200 << 20)], 4 << 30)
    assert "failure" not in little and "failure" not in much
    # What the test's own process takes may count as a child's until it has become another program.
    assert 200 << 20 < much["resident"] < 400 << 20
    assert little["resident"] < much["resident"] - (100 << 20)
    assert 0 < little["seconds"] < 60


def test_what_needs_more_than_the_limit_has_no_numbers() -> None:
    row = memory_table.measure([sys.executable, "-c", ALLOCATE, str(2 << 30)], 1 << 30)
    assert "MemoryError" in row["failure"]
    assert memory_table.short(row | {"failure": "status -9: "}, {"limit": 12 << 30}) == "not in 12 GiB"
    assert memory_table.short(row | {"failure": "status 1: no such trace"}, {"limit": 12 << 30}) == "failed"


def test_sizes_and_prompts() -> None:
    assert memory_table.size("12G") == 12 << 30 and memory_table.size("500M") == 500 << 20
    option, text = memory_table.prompt(4000, argparse.Namespace(text=None))
    ids = text.split(",")
    assert option == "--ids"
    assert len(ids) == 4000 and len(set(ids)) > 1000
    assert all(int(number) in memory_table.IDS for number in ids)


def test_the_table_shows_before_and_after(tmp_path) -> None:
    def result(resident: int, seconds: float) -> dict:
        row = {"command": "lens", "tokens": 1923, "resident": resident, "seconds": seconds}
        return {"model_bytes": 100_000_000, "limit": 1 << 30, "rows": {"lens 1923": row}}

    now, before = tmp_path / "now.json", tmp_path / "before.json"
    now.write_text(json.dumps(result(300_000_000, 2)))
    before.write_text(json.dumps(result(10_900_000_000, 25.04)))
    shown = subprocess.run(
        [sys.executable, memory_table.__file__, "--show", now, "--against", before],
        capture_output=True, text=True, check=True).stdout
    assert shown.splitlines() == [
        "|  | 1,923 tokens, before | after |",
        "| --- | --- | --- |",
        "| `lens` | 10,800 MB, 25.0 s | 200 MB, 2.0 s |",
    ]
