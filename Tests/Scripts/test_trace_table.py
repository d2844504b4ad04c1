"""What a trace takes beside what was estimated, by a program that stands for quipu."""

import subprocess
import sys

import trace_table

PROGRAM = """#!{python}
import json, pathlib, sys
count = len(sys.argv[sys.argv.index("--ids") + 1].split(","))
assert sys.argv[1] == "trace" and "--capture" in sys.argv
if "--estimate" in sys.argv:
    print(json.dumps({{"size_bytes": 900 * count}}))
else:
    pathlib.Path(sys.argv[sys.argv.index("--output") + 1]).write_bytes(bytes(1000 * count))
"""


def test_a_row_for_each_length_and_capture(tmp_path) -> None:
    quipu, model = tmp_path / "quipu", tmp_path / "model.gguf"
    quipu.write_text(PROGRAM.format(python=sys.executable))
    quipu.chmod(0o755)
    model.write_bytes(b"GGUF")
    command = [sys.executable, trace_table.__file__, "--quipu", quipu, "--model", model, "--tokens", "1000,2000"]
    command += ["--capture", "stats", "--capture", "all --only l_out*"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown[2:]]
    assert [row[:5] for row in rows] == [
        ["1,000", "`stats`", "0.9 MB", "1.0 MB", "-10.0 %"],
        ["1,000", "`all --only l_out*`", "0.9 MB", "1.0 MB", "-10.0 %"],
        ["2,000", "`stats`", "1.8 MB", "2.0 MB", "-10.0 %"],
        ["2,000", "`all --only l_out*`", "1.8 MB", "2.0 MB", "-10.0 %"],
    ]
