"""Finding and running the program."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from conftest import HEARS_CTRL_C, MODEL, wait_for_rows

import quipu

PACKAGE = pathlib.Path(quipu.__file__).parent


def python(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in ("QUIPU", "PYTHONPATH")}
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd="/",  # where there is no package by chance
        env={**clean, "PYTHONPATH": str(PACKAGE.parent), **environment},
    )


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_the_order_in_which_it_is_looked_for(tmp_path, monkeypatch):
    package = tmp_path / "checkout/python/quipu"
    package.mkdir(parents=True)
    for file in PACKAGE.glob("*"):
        if file.is_file():
            (package / file.name).write_bytes(file.read_bytes())

    def found(*, argument=None, **environment):
        code = f"import quipu; print(quipu.find_program({argument!r}))"
        done = python("-c", code, PYTHONPATH=str(package.parent), **environment)
        return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]

    path = f"{tmp_path / 'path'}:/usr/bin:/bin"
    assert "ProgramNotFound: there is no quipu program" in found(PATH=path) and "QUIPU" in found(PATH=path)
    checkout = script(tmp_path / "checkout/.build/release/quipu", "#!/bin/sh\n")
    assert found(PATH=path) == str(checkout)
    on_path = script(tmp_path / "path/quipu", "#!/bin/sh\n")
    assert found(PATH=path) == str(on_path)
    # pip's script for the package is not the program: it would call itself without end.
    script(on_path, "#!/usr/bin/python3\nimport sys\nfrom quipu.__main__ import main\nsys.exit(main())\n")
    assert found(PATH=path) == str(checkout)
    bundled = script(package / "bin/quipu", "#!/bin/sh\n")
    script(on_path, "#!/bin/sh\n")
    assert found(PATH=path) == str(bundled)
    named = script(tmp_path / "mine/quipu-2", "#!/bin/sh\n")
    assert found(PATH=path, QUIPU=str(named)) == str(named)
    assert found(PATH=f"{named.parent}:{path}", QUIPU="quipu-2") == str(named)
    assert found(PATH=path, QUIPU=str(named), argument=str(on_path)) == str(on_path)
    assert "QUIPU names it" in found(PATH=path, QUIPU=str(tmp_path / "nothing"))
    named.chmod(0o644)
    assert "no program that can be run" in found(PATH=path, QUIPU=str(named))


def test_the_module_is_the_program(program, tmp_path):
    arguments = ["tokenize", str(MODEL), "Mia has the ball", "--json"]
    direct = subprocess.run([program, *arguments], capture_output=True, text=True)
    module = python("-m", "quipu", *arguments, QUIPU=program)
    assert (module.returncode, module.stdout, module.stderr) == (0, direct.stdout, direct.stderr)
    # Its status is passed on: of the input's faults, of wrong usage, of a difference.
    assert python("-m", "quipu", "inspect", str(tmp_path / "no.gguf"), QUIPU=program).returncode == 1
    assert python("-m", "quipu", "inspetc", QUIPU=program).returncode == 64
    none = python("-m", "quipu", "--version", QUIPU=str(tmp_path / "nothing"))
    assert none.returncode == 127 and none.stderr.startswith("quipu: ") and none.stderr.count("\n") == 1


def test_starting_needs_neither_numpy_nor_time(program):
    code = (
        "import sys; sys.modules['numpy'] = None; sys.argv = ['quipu', '--version']\n"
        "import os; os.execv = lambda path, arguments: print(path, arguments[1:], len(sys.modules))\n"
        "from quipu.__main__ import main; before = len(sys.modules); main()"
    )
    done = python("-S", "-c", code, QUIPU=program)
    assert done.stdout.startswith(f"{program} ['--version']"), done.stderr
    # Nothing of weight: what the interpreter has loaded anyway, and four files of the package.
    baseline = python(
        "-S", "-c", "import os, sys, __future__; sys.modules['numpy'] = None; print(len(sys.modules))"
    ).stdout
    assert int(done.stdout.split()[-1]) == int(baseline) + 4
    assert (
        python(
            "-c", "import sys, quipu; assert 'numpy' not in sys.modules and 'subprocess' not in sys.modules"
        ).returncode
        == 0
    )


def test_signals_reach_the_program(program, tmp_path):
    """The module becomes the program: same process, so Ctrl-C and kill are its own."""
    command = [sys.executable, "-m", "quipu", "trace", str(MODEL), "--prompt", "Mia has the ball.", "--generate", "240",
               "--ignore-eos", "--output", str(tmp_path / "t.db")]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "QUIPU": program}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for_rows(process, tmp_path / "t.db")
    assert os.readlink(f"/proc/{process.pid}/exe") == os.path.realpath(program)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and b"stopped" in errors


def test_failures_are_exceptions_with_the_programs_words(tmp_path):
    path = tmp_path / "no.gguf"
    with pytest.raises(quipu.ProgramError) as caught:
        quipu.inspect(path)
    error = caught.value
    assert error.status == 1 and str(error) == error.message and str(error).startswith(f"{path}: found no such file")
    assert error.command[1:] == ["inspect", "--json", "--", str(path)] and error.document is None
    with pytest.raises(quipu.ProgramError, match="--generate takes 0 to") as caught:
        quipu.trace(MODEL, "x", generate=-1)
    assert caught.value.status == 64
    with pytest.raises(quipu.ProgramError, match="Unknown command") as caught:
        quipu.run("tarce")
    with pytest.raises(quipu.ProgramError, match="Unknown option"):
        quipu.run("trace", MODEL, promt="x")
    with pytest.raises(quipu.ProgramNotFound):
        quipu.inspect(MODEL, program=path)
    with pytest.raises(quipu.ProgramError, match="cannot be run: Exec format error"):
        quipu.inspect(MODEL, program=script(tmp_path / "odd", "\x7fELF no program"))
    with pytest.raises(quipu.ProgramError, match="printed no JSON document"):
        quipu.inspect(MODEL, program=script(tmp_path / "silly", "#!/bin/sh\necho hello\n"))
    with pytest.raises(quipu.ProgramError, match="ended by SIGKILL") as caught:
        quipu.inspect(MODEL, program=script(tmp_path / "dying", "#!/bin/sh\nkill -9 $$\n"))
    assert caught.value.status == -9
    assert isinstance(error, quipu.QuipuError) and not isinstance(error, quipu.TraceError)


def test_an_existing_trace_is_left_alone(recorded):
    before = recorded.read_bytes()
    with pytest.raises(quipu.ProgramError, match="exists already"):
        quipu.trace(MODEL, "x", output=recorded)
    assert recorded.read_bytes() == before


@pytest.fixture
def chatty(tmp_path):
    """A program that speaks as quipu does, slowly enough to be watched."""
    return script(
        tmp_path / "chatty",
        f"#!{sys.executable}\n"
        "import os, sys, time\n"
        "def err(text): os.write(2, text.encode())\n"
        "assert os.isatty(2) == ('--watched' in sys.argv), os.isatty(2)\n"
        "err('quipu: note: a note\\n')\n"
        "if os.isatty(2):\n"
        "    for line in ('10 %', '20 %', '30 %', ''): err('\\r\\x1b[K' + line); time.sleep(0.05)\n"
        "err('quipu: x.gguf: warning: an odd token\\n')\n"
        "if '--fails' in sys.argv: err('quipu: it went wrong\\nin two lines\\n'); sys.exit(1)\n"
        "print('{\"done\": true}')\n",
    )


def test_progress_is_passed_on(chatty, capsys):
    seen = []
    with pytest.warns(UserWarning, match="x.gguf: warning: an odd token"):
        assert quipu.run("x", watched=True, program=chatty, progress=seen.append) == {"done": True}
    assert seen == ["10 %", "20 %", "30 %", ""]
    with pytest.warns(UserWarning):
        quipu.run("x", watched=True, program=chatty, progress=True)
    assert "20 %" in capsys.readouterr().err
    with pytest.warns(UserWarning):
        quipu.run("x", program=chatty, progress=False)
    with pytest.warns(UserWarning):
        quipu.run("x", program=chatty)  # nobody is watching
    assert capsys.readouterr().err == ""
    for watched in (True, False):
        with pytest.raises(quipu.ProgramError) as caught:
            quipu.run("x", watched=watched, fails=True, program=chatty, progress=seen.append if watched else None)
        assert str(caught.value).endswith("it went wrong\nin two lines") and "10 %" not in str(caught.value)
        assert "a note" not in str(caught.value)


def test_a_fault_of_the_watcher_is_raised(chatty):
    def watch(line):
        raise ZeroDivisionError(line)

    with pytest.raises(ZeroDivisionError):
        quipu.run("x", watched=True, program=chatty, progress=watch)


def test_the_programs_own_progress_is_passed_on():
    seen = []
    quipu.trace(MODEL, "Mia has the ball.", generate=240, ignore_eos=True, progress=seen.append)
    # Less than a second is not worth a line.
    assert not seen or seen[-1] == ""
    assert all("\r" not in line and "\x1b" not in line for line in seen)


def test_an_interrupted_python_stops_the_program(tmp_path, program):
    path = tmp_path / "t.db"
    code = f"import quipu; quipu.trace({str(MODEL)!r}, 'Mia', generate=240, ignore_eos=True, output={str(path)!r})"
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "QUIPU": program}
    process = subprocess.Popen(
        [sys.executable, "-c", HEARS_CTRL_C + code], env=environment, stderr=subprocess.PIPE)
    wait_for_rows(process, path)
    # Python alone, as a notebook's Stop does.
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    with quipu.open(path) as trace:
        assert trace.complete is False
    time.sleep(0.1)
    assert not os.path.exists(f"{path}-wal")  # closed by the program itself, which is gone


def test_the_version_is_the_programs(program):
    assert quipu.__version__ == subprocess.run([program, "--version"], capture_output=True, text=True).stdout.strip()
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        quipu.nonsense  # noqa: B018


def test_text_for_standard_input():
    document = quipu.run("tokenize", MODEL, file="-", input="Mia has the ball")
    assert document["ids"] == quipu.tokenize(MODEL, "Mia has the ball")["ids"]
