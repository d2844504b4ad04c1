"""Presses keys in `quipu step` on a pseudo-terminal and says what came of it.

    step_on_a_terminal.py QUIPU TRACE SCENARIO

Scenarios: quit, interrupt, terminate, resize. Prints `ok`, or what was wrong and exits with 1.
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

LEAVE = b"\x1b[?1049l"
DRAWN = b"\x1b[?2026l"


UNREAD = bytearray()


def read(fd, until, seconds=60):
    """What the program writes up to and with `until`; what comes after it is there for the next call."""
    end = time.time() + seconds
    while until not in UNREAD:
        if time.time() > end:
            sys.exit(f"waited for {until!r}, got {bytes(UNREAD[-600:])!r}")
        if select.select([fd], [], [], 0.1)[0]:
            try:
                more = os.read(fd, 65536)
            except OSError:
                more = b""
            if not more:
                sys.exit(f"ended before {until!r}: {bytes(UNREAD[-600:])!r}")
            UNREAD.extend(more)
    length = UNREAD.index(until) + len(until)
    text = bytes(UNREAD[:length])
    del UNREAD[:length]
    return text


def main():
    quipu, trace, scenario = sys.argv[1:]
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    before = termios.tcgetattr(child)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(child, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(child, fd)
        os.environ["TERM"] = "xterm-256color"
        os.execv(quipu, [quipu, "step", trace, "--restart"])
    first = read(parent, DRAWN)
    assert b"\x1b[?1049h" in first and b"op 0 of" in first, first
    # What is erased after it was written loses its last column.
    if b"\x1b[J" in first or b"\x1b[K\r\n" in first:
        sys.exit("a line is erased after it is written")
    os.write(parent, b"n")
    read(parent, b"op 1 of")
    os.write(parent, b"\x1b[C")
    read(parent, b"op 2 of")
    if termios.tcgetattr(child)[3] & termios.ICANON:
        sys.exit("keys wait for Enter")
    expected = 0
    if scenario == "quit":
        os.write(parent, b":goto kq-0\r")
        read(parent, b"kq-0")
        os.write(parent, b"q")
    elif scenario == "interrupt":
        os.write(parent, b"\x03")
        read(parent, b"again or q quits")
        os.write(parent, b"\x03")
    elif scenario == "terminate":
        os.kill(pid, signal.SIGTERM)
        expected = signal.SIGTERM
    elif scenario == "resize":
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
        os.kill(pid, signal.SIGWINCH)
        # What is left of the screens before comes first. Two may come at once, so each is looked at alone.
        while read(parent, DRAWN).split(b"\x1b[H")[-1].count(b"\n") != 9:
            pass
        os.write(parent, b"q")
    read(parent, LEAVE)
    _, status = os.waitpid(pid, 0)
    if status != expected:
        sys.exit(f"status {status}, expected {expected}")
    if termios.tcgetattr(child) != before:
        sys.exit("the terminal is not as it was")
    print("ok")


main()
