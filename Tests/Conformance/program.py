"""Runs the program under test."""

import json
import os
import subprocess


class Quipu:
    def __init__(self, path):
        self.path = os.path.abspath(path)

    def trace(self, model, prompt, output, generate=3, capture="all", threads=2):
        """Runs `quipu trace` on a text or a list of token ids; the database is written to `output`."""
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(output + suffix):
                os.remove(output + suffix)
        given = ["--prompt", prompt] if isinstance(prompt, str) else ["--ids", ",".join(map(str, prompt))]
        self._run(
            "trace", model, *given, "--capture", capture, "--generate", str(generate), "--threads",
            str(threads), "--output", output, "--json")
        return output

    def tokenize(self, model, text):
        return json.loads(self._run("tokenize", model, text, "--json"))["ids"]

    def _run(self, *arguments):
        result = subprocess.run([self.path, *arguments], capture_output=True, text=True)
        if result.returncode != 0:
            command = " ".join(["quipu", *arguments])
            raise SystemExit(f"{command}\nexit status {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout
