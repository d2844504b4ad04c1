#!/usr/bin/env python3
"""Measures quipu and llama.cpp in turns and prints ratios; bench-against-llama.sh builds what it needs.

Rates are tokens a second of a prompt of 128 tokens and of 32 generated ones, both from an empty cache, flash attention
off, with as many threads as there are cores: `quipu bench` against `llama-bench`. Above 1, quipu is faster.

With --lengths, prompts of these lengths, and 16 tokens generated after each, against llama.cpp with its defaults: flash
attention where it chooses to.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SMOLLM2 = ROOT / "downloads" / "SmolLM2-135M-Instruct.Q4_1.gguf"
FORMATS = ["Q4_1", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "IQ4_XS", "F16"]
MEASUREMENTS = ["rates", "recording", "trace", "ready", "memory"]
PROMPT = "The capital of France is"  # five tokens of SmolLM2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="*", help="a GGUF file (default: SmolLM2, and 1.24 B, random, in eight formats)")
    parser.add_argument("--quipu", required=True)
    parser.add_argument("--llama", required=True, help="folder with llama-bench and llama-eval-callback")
    parser.add_argument("--models", required=True, help="folder for the models made here (10 GB)")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each, of which the median counts")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--with-8b", action="store_true", help="also the memory that an 8 B model takes (5 GB of disk)")
    parser.add_argument("--kernels", choices=["portable", "avx2", "avxvnni", "avx512"],
                        help="Quipu's kernels; llama.cpp is built for the same instructions; rates only")
    parser.add_argument("--formats", type=lambda text: text.split(","), default=FORMATS,
                        help=f"formats of the random model (default: {','.join(FORMATS)})")
    parser.add_argument("--lengths", type=lambda text: [int(word) for word in text.split(",")],
                        help="prompts of these lengths, and decoding after them, such as 0,128,1024: nothing else")
    parser.add_argument("--only", choices=MEASUREMENTS, help="leave out the rest")
    parser.add_argument("--output", help="write the results as JSON")
    bench = Bench(parser.parse_args())

    models = [pathlib.Path(m) for m in bench.options.model]
    if bench.options.lengths and bench.options.only:
        parser.error("--lengths measures nothing else: leave out --only")
    rates_only = models or bench.options.kernels
    wanted = [bench.options.only] if bench.options.only else ["rates"] if rates_only else MEASUREMENTS
    if not models and not SMOLLM2.exists():
        subprocess.run([sys.executable, ROOT / "scripts" / "fetch_model.py", "smollm2"], check=True)
    results = {"threads": bench.options.threads, "rounds": bench.options.rounds, "kernels": bench.options.kernels}
    if bench.options.lengths:
        wanted = []
        results["lengths"] = bench.all_lengths(models or bench.made_models())
    if "rates" in wanted:
        results["rates"] = bench.all_rates(models or bench.made_models())
    model = models[0] if models else SMOLLM2
    if "recording" in wanted:
        results["recording"] = bench.recording(model)
    if "trace" in wanted:
        results["trace"] = bench.trace(model)
    if "ready" in wanted:
        results["ready_ms"] = bench.ready(model)
    if "memory" in wanted:
        large = [bench.made("8b", "llama8b-q4_k_m.gguf")] if bench.options.with_8b else []
        results["memory"] = [bench.memory(m) for m in models or [SMOLLM2, bench.random_model("Q4_K_M"), *large]]
    if bench.options.output:
        pathlib.Path(bench.options.output).write_text(json.dumps(results, indent=2) + "\n")


class Bench:
    def __init__(self, options):
        self.options = options
        self.quipu = os.path.abspath(options.quipu)
        self.models = pathlib.Path(options.models)

    # models

    def made_models(self):
        """SmolLM2 and the random model in each format, made when it is its turn."""
        yield SMOLLM2
        for format in self.options.formats:
            yield self.random_model(format)

    def made(self, shape, name):
        path = self.models / name
        if not path.exists():
            self.models.mkdir(parents=True, exist_ok=True)
            note(f"making {path} …")
            subprocess.run([sys.executable, ROOT / "scripts" / "make_random_llama.py", shape, path], check=True)
        return path

    def random_model(self, format):
        source = self.made("1b", "llama1b-f16.gguf")
        path = self.models / f"llama1b-{format.lower()}.gguf"
        if not path.exists():
            note(f"making {path} …")
            subprocess.run([self.quipu, "quantize", source, path, format], check=True, stdout=subprocess.DEVNULL)
        return path

    # measurements

    def all_rates(self, models):
        """A line a model, printed when it is done."""
        print(f"{'tokens a second':28}{'prompt':>8}{'llama':>8}{'ratio':>7}{'decode':>9}{'llama':>8}{'ratio':>7}"
              f"{'GB/s':>7}{'of memory':>11}")
        results = []
        for model in models:
            result = self.rates(model)
            prompt, decode = result["prompt"], result["decode"]
            print(f"{result['model'][:27]:28}{prompt['quipu']:8.1f}{prompt['llama']:8.1f}{prompt['ratio']:7.2f}"
                  f"{decode['quipu']:9.1f}{decode['llama']:8.1f}{decode['ratio']:7.2f}"
                  f"{decode['bytes_per_second'] / 1e9:7.1f}{decode['of_memory']:11.0%}", flush=True)
            results.append(result)
        return results

    def rates(self, model):
        """Prompt and decode of both programs in turns."""
        runs = {"prompt": {"quipu": [], "llama": []}, "decode": {"quipu": [], "llama": []}}
        bandwidth, share = [], []
        for _ in range(self.options.rounds):
            ours, theirs = self.quipu_bench(model), self.llama_bench(model)
            for phase in runs:
                runs[phase]["quipu"].append(ours[phase]["tokens_per_second"])
                runs[phase]["llama"].append(theirs[phase])
            bandwidth.append(ours["memory_bandwidth"])
            share.append(ours["decode"]["memory_share"])
        result = {"model": model.name, "memory_bandwidth": statistics.median(bandwidth)}
        for phase, sides in runs.items():
            result[phase] = compared(sides)
        weights = ours["decode"]["weight_bytes"]
        result["decode"]["bytes_per_second"] = weights * result["decode"]["quipu"]
        # The bandwidth of a shared machine changes from run to run, so each is held against its own.
        result["decode"]["of_memory"] = statistics.median(share)
        return result

    def all_lengths(self, models):
        """A line a model and length, printed when it is done."""
        print(f"{'tokens a second':28}{'length':>7}{'prompt':>9}{'llama':>9}{'ratio':>7}{'decode':>9}{'llama':>8}"
              f"{'ratio':>7}{'attention':>11}")
        results = []
        for model in models:
            for length in self.options.lengths:
                result = self.at_length(model, length)
                cells = []
                for phase, width in [("prompt", 9), ("decode", 8)]:
                    found = result[phase]
                    cells.append(f"{found['quipu']:9.1f}{found['llama']:{width}.1f}{found['ratio']:7.2f}" if found
                                 else f"{'-':>9}{'-':>{width}}{'-':>7}")
                share = f"{result['attention_share']:11.0%}"
                print(f"{model.name[:27]:28}{length:7}{cells[0]}{cells[1]}{share}", flush=True)
                results.append(result)
        return results

    def at_length(self, model, length):
        """Prompts of a length and decoding after them, by both programs in turns."""
        runs = {"prompt": {"quipu": [], "llama": []}, "decode": {"quipu": [], "llama": []}}
        shares = []
        for _ in range(self.options.rounds):
            ours = self.json("bench", model, "--lengths", length, "-n", 16, "-r", 1)["lengths"][0]
            if length:
                runs["prompt"]["quipu"].append(ours["prompt"]["tokens_per_second"])
                runs["prompt"]["llama"].append(self.llama_rate(model, "-p", length, "-n", 0))
            runs["decode"]["quipu"].append(ours["decode"]["tokens_per_second"])
            runs["decode"]["llama"].append(self.llama_rate(model, "-p", 0, "-n", 16, "-d", length))
            shares.append(ours["decode"]["attention_share"])
        result = {"model": model.name, "length": length, "attention_share": statistics.median(shares)}
        for phase, sides in runs.items():
            result[phase] = compared(sides) if sides["quipu"] else None
        return result

    def llama_rate(self, model, *arguments):
        command = [os.path.join(self.options.llama, "llama-bench"), "-m", model, *arguments, "-r", 1]
        # A run to warm up, of the whole length, tells nothing new of a long one.
        command += ["--no-warmup"] if max(arguments[1::2]) >= 1024 else []
        (row,) = json.loads(run([*command, "-t", self.options.threads, "-o", "json"]))
        return row["avg_ts"]

    def quipu_bench(self, model):
        return self.json("bench", model, "-p", 128, "-n", 32, "-r", 1)

    def llama_bench(self, model):
        command = [os.path.join(self.options.llama, "llama-bench"), "-m", model, "-p", 128, "-n", 32, "-r", 1]
        command += ["-t", self.options.threads, "-fa", "off", "-o", "json"]
        rows = json.loads(run(command))
        return {"prompt" if row["n_prompt"] else "decode": row["avg_ts"] for row in rows}

    def recording(self, model):
        """What recording adds to the time of decoding: each run against those without it just before and after, since
        the speed of a shared machine wanders by more than recording costs. Runs are short, so there are more of them.
        """
        none = [self.traced(model, "none")]
        costs = {"stats": [], "all": []}
        for _ in range(3 * self.options.rounds):
            for capture, cost in costs.items():
                recorded = self.traced(model, capture)
                none.append(self.traced(model, "none"))
                cost.append(2 * recorded / (none[-2] + none[-1]) - 1)
        print(f"recording, {model.name}: {statistics.median(none) * 1e3:.2f} ms a token without, "
              + ", ".join(f"{capture} {spread(values)}" for capture, values in costs.items()))
        return {"seconds_without": none, "cost": costs,
                "median_cost": {capture: statistics.median(values) for capture, values in costs.items()}}

    def traced(self, model, capture):
        """Seconds of a generated token."""
        with tempfile.TemporaryDirectory() as folder:
            return 1 / self.json(
                "trace", model, "--prompt", PROMPT, "--generate", 129, "--ignore-eos", "--capture", capture,
                "--output", os.path.join(folder, "t.db"))["tokens_per_second"]

    def trace(self, model):
        """Seconds from the start of the process to its end: a whole trace, every value kept, against printing six."""
        callback = [os.path.join(self.options.llama, "llama-eval-callback"), "-m", model, "-p", PROMPT]
        callback += ["-t", self.options.threads, "-fa", "off"]
        seconds = {"quipu": [], "llama": []}
        for _ in range(self.options.rounds):
            seconds["quipu"].append(timed(lambda: self.trace_all(model)))
            seconds["llama"].append(timed(lambda: run(callback)))
        medians = {side: statistics.median(values) for side, values in seconds.items()}
        ratio = medians["quipu"] / medians["llama"]
        print(f"trace of five tokens, start to end: {medians['quipu']:.2f} s, llama-eval-callback "
              f"{medians['llama']:.2f} s: {ratio:.2f} of its time")
        return {**medians, "time_ratio": ratio, "runs": seconds}

    def trace_all(self, model):
        with tempfile.TemporaryDirectory() as folder:
            self.json("trace", model, "--prompt", PROMPT, "--output", os.path.join(folder, "t.db"))

    def ready(self, model):
        """Milliseconds from opening the file until a pass could start."""
        runs = [self.json("bench", model, "-p", 1, "-n", 1, "-r", 1)["ready_ns"] for _ in range(self.options.rounds)]
        ready = statistics.median(runs) / 1e6
        print(f"ready in {ready:.0f} ms ({model.name})")
        return ready

    def memory(self, model):
        """Resident bytes at their peak in a short run that keeps every value of a token."""
        with tempfile.TemporaryDirectory() as folder:
            command = [self.quipu, "trace", model, "--prompt", "the", "--generate", 3, "--ignore-eos",
                       "--output", os.path.join(folder, "t.db")]
            with open(os.devnull, "w") as sink:
                process = subprocess.Popen([str(word) for word in command], stdout=sink)
                _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"{command[0]} failed with status {os.waitstatus_to_exitcode(status)}")
        size, peak = model.stat().st_size, usage.ru_maxrss * 1024
        print(f"memory, {model.name}: {peak / 2**20:.0f} MiB resident, {(peak - size) / 2**20:+.0f} beside the file")
        return {"model": model.name, "resident_bytes": peak, "file_bytes": size}

    def json(self, *arguments):
        kernels = ["--kernels", self.options.kernels] if self.options.kernels else []
        return json.loads(run([self.quipu, *arguments, *kernels, "--threads", self.options.threads, "--json"]))


def run(command):
    """The standard output of a command that must succeed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{command[0]} failed with status {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def compared(sides):
    """Medians of both programs, their ratio, and what they are of."""
    medians = {side: statistics.median(values) for side, values in sides.items()}
    return {**medians, "ratio": medians["quipu"] / medians["llama"], "runs": sides}


def spread(shares):
    """Median and quartiles."""
    low, middle, high = statistics.quantiles(shares, n=4)
    return f"{middle:+.1%} ({low:+.1%} to {high:+.1%})"


def timed(action):
    start = time.monotonic()
    action()
    return time.monotonic() - start


def note(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
