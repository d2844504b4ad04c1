"""The HTTP of `quipu open`, spoken to by bare sockets: what is malformed, too long or slow has a clear answer."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import signal
import socket
import sqlite3
import time

import pytest


class Wire:
    """A connection on which any bytes are sent."""

    def __init__(self, opened, timeout=20):
        self.socket = socket.create_connection(("127.0.0.1", opened.port), timeout=timeout)
        self.pending = b""

    def send(self, data):
        self.socket.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def more(self):
        data = self.socket.recv(1 << 16)
        self.pending += data
        return bool(data)

    def head(self):
        """Status and headers of the next answer."""
        while b"\r\n\r\n" not in self.pending:
            if not self.more():
                assert not self.pending, self.pending
                return None, {}
        head, self.pending = self.pending.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}

    def answer(self):
        """Status, headers and body."""
        status, headers = self.head()
        if status is None or status == 100:
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, b"".join(iter(self.chunk, b""))
        count = int(headers["content-length"])
        return status, headers, self.take(count)

    def take(self, count):
        while len(self.pending) < count:
            assert self.more(), "closed in the middle of a body"
        body, self.pending = self.pending[:count], self.pending[count:]
        return body

    def chunk(self):
        while b"\r\n" not in self.pending:
            assert self.more(), "closed before the last chunk"
        size, self.pending = self.pending.split(b"\r\n", 1)
        body = self.take(int(size, 16))
        assert self.take(2) == b"\r\n"
        return body

    def is_closed(self):
        try:
            return not self.pending and not self.more()
        except ConnectionResetError:
            return True


@pytest.fixture
def wire(opened):
    wires = []

    def connect():
        wires.append(Wire(opened))
        return wires[-1]

    yield connect
    for each in wires:
        each.socket.close()


def get(opened, path="traces", more=""):
    return f"GET {opened.base}{path} HTTP/1.1\r\nHost: 127.0.0.1:{opened.port}\r\n{more}\r\n"


def post(opened, body, path="run", more="", length=None):
    length = len(body) if length is None else length
    return (
        f"POST {opened.base}{path} HTTP/1.1\r\nHost: 127.0.0.1:{opened.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n{more}\r\n{body}"
    )


HOST = "Host: 127.0.0.1:PORT\r\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "\r\n", 200),
        ("GET BASEtraces HTTP/1.1\r\nhOsT:   127.0.0.1:PORT  \r\nX-Other:\tyes\r\n\r\n", 200),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: caf\xe9\r\n\r\n", 200),
        ("GET BASEtraces HTTP/1.1\n" + HOST + "\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: a\rb\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: a\nb\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: a\0b\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + HOST + "\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "No colon\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "Space : x\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: a\r\n folded\r\n\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + ": x\r\n\r\n", 400),
        ("GET BASEtraces\r\n" + HOST + "\r\n", 400),
        ("GET  BASEtraces HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASE tr HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASEtr\xe4ces HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET http://127.0.0.1:PORT/ HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("G(T BASEtraces HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASEtraces HTTP/2.0\r\n" + HOST + "\r\n", 505),
        ("GET BASEtraces FTP/1.1\r\n" + HOST + "\r\n", 400),
        ("\r\n\r\n", 400),
        ("\0\r\n\r\n", 400),
        ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        ("DELETE BASEtraces HTTP/1.1\r\n" + HOST + "\r\n", 405),
        ("OPTIONS BASErun HTTP/1.1\r\n" + HOST + "Origin: http://127.0.0.1:PORT\r\n\r\n", 405),
        ("GET BASErun HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASEtraces HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        ("GET BASEtraces HTTP/1.1\r\nHost: 127.0.0.1:PORT.evil.example\r\n\r\n", 403),
        ("GET BASEtraces HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n", 200),
        ("GET BASEtraces HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 403),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "Origin: http://127.0.0.1:PORT\r\n\r\n", 200),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "Origin: https://127.0.0.1:PORT\r\n\r\n", 403),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "Origin: http://127.0.0.1:PORT\r\nOrigin: http://e.x\r\n\r\n", 403),
        ("GET /traces HTTP/1.1\r\n" + HOST + "\r\n", 403),
        ("GET /WRONGtraces HTTP/1.1\r\n" + HOST + "\r\n", 403),
        ("GET BASEtokenize?text=%FF HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASEtokenize?text=%zz HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASEtokenize?text=a%00b HTTP/1.1\r\n" + HOST + "\r\n", 400),
        ("GET BASEtokenize?text=-h HTTP/1.1\r\n" + HOST + "\r\n", 200),
        ("GET BASE" + "x" * 20000 + " HTTP/1.1\r\n" + HOST + "\r\n", 414),
        ("GET " + "x" * 20000, 414),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: " + "y" * 20000 + "\r\n\r\n", 431),
        ("GET BASEtraces HTTP/1.1\r\n" + HOST + "X: y\r\n" * 4000 + "\r\n", 431),
        ("POST BASErun HTTP/1.1\r\n" + HOST + "Content-Type: application/json\r\n\r\n", 411),
        (
            "POST BASErun HTTP/1.1\r\n" + HOST + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            "\r\n2\r\n{}\r\n0\r\n\r\n",
            411,
        ),
        (
            "POST BASErun HTTP/1.1\r\n" + HOST + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            "Content-Length: 2\r\n\r\n{}",
            411,
        ),
        *(
            ("POST BASErun HTTP/1.1\r\n" + HOST + "Content-Type: application/json\r\nContent-Length: " + length + "\r\n"
             "\r\n{}", status)
            for length, status in [
                ("-1", 400), ("+2", 400), ("2, 2", 400), ("0x2", 400), ("", 400), ("2 2", 400), ("65537", 413),
                ("99999999999999999999999", 413), ("2\r\nContent-Length: 3", 400),
            ]
        ),
        ("POST BASErun HTTP/1.1\r\n" + HOST + "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415),
        ("POST BASErun HTTP/1.1\r\n" + HOST + "Content-Length: 2\r\n\r\n{}", 415),
        (
            "POST BASEsql HTTP/1.1\r\n" + HOST + "Expect: a miracle\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\n\r\n{}",
            417,
        ),
    ],
)
def test_what_is_answered(opened, wire, text, status):
    connection = wire()
    text = text.replace("BASE", opened.base).replace("PORT", str(opened.port)).replace("WRONG", "0" * 32 + "/")
    connection.send(text)
    found, headers, body = connection.answer()
    assert found == status, body
    assert headers["x-content-type-options"] == "nosniff" and "default-src 'none'" in headers["content-security-policy"]
    assert not any(name.startswith("access-control") for name in headers)
    if status != 200:
        assert body.strip() and b"\r" not in body and b"\0" not in body
    if status != 200 and headers.get("connection") == "close":
        assert connection.is_closed()


def test_requests_follow_each_other(opened, wire):
    connection = wire()
    for _ in range(3):
        connection.send(get(opened))
        assert connection.answer()[0] == 200
    # In one piece, with a body among them.
    body = json.dumps({"text": "the red ball"})
    connection.send(get(opened) + post(opened, body, "tokenize") + get(opened, "nothing") + get(opened))
    answers = [connection.answer() for _ in range(4)]
    assert [a[0] for a in answers] == [200, 200, 404, 200]
    assert json.loads(answers[1][2]) == opened.get("tokenize", text="the red ball")


def test_requests_come_in_pieces(opened, wire):
    connection = wire()
    for byte in post(opened, json.dumps({"text": "ball"}), "tokenize"):
        connection.send(byte)
    assert connection.answer()[0] == 200


def test_the_last_request_is_the_last(opened, wire):
    connection = wire()
    connection.send(get(opened, more="Connection: Close\r\n") + get(opened))
    assert connection.answer()[1]["connection"] == "close" and connection.is_closed()


def test_what_follows_a_refusal_is_not_read(opened, wire):
    connection = wire()
    connection.send("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n" + get(opened))
    assert connection.answer()[0] == 403 and connection.is_closed()


def test_a_client_of_http_1_0_gets_a_plain_stream(opened, wire):
    body = json.dumps({"prompt": "Tom is", "generate": 2})
    connection = wire()
    connection.send(post(opened, body).replace("HTTP/1.1", "HTTP/1.0"))
    status, headers = connection.head()
    assert status == 200 and "transfer-encoding" not in headers and headers["connection"] == "close"
    while connection.more():
        pass
    lines = [json.loads(line) for line in connection.pending.decode().splitlines()]
    assert lines[-1]["trace"] in [t["id"] for t in opened.get("traces")]


def test_a_body_is_asked_for(opened, wire):
    body = json.dumps({"text": "ball"})
    connection = wire()
    connection.send(post(opened, "", "tokenize", "Expect: 100-continue\r\n", len(body)))
    assert connection.answer()[0] == 100
    connection.send(body)
    assert connection.answer()[0] == 200
    connection.send(post(opened, "", "tokenize", "Expect: 100-continue\r\n", 1 << 20))
    assert connection.answer()[0] == 413


def test_a_head_has_no_body(opened, wire):
    connection = wire()
    connection.send(get(opened).replace("GET", "HEAD"))
    assert connection.head()[0] == 405 and connection.is_closed()


def test_slow_clients_are_told_and_left(opened, wire):
    def stop(text):
        began, connection = time.monotonic(), wire()
        connection.send(text)
        status, _, body = connection.answer()
        assert status == 408 and b"in time" in body and connection.is_closed(), text
        assert 5 < time.monotonic() - began < 15, text

    def drip():
        """A drop now and then is slow too."""
        began, connection = time.monotonic(), wire()
        connection.socket.settimeout(0.5)
        connection.send("GET / HTTP/1.1\r\n")
        while time.monotonic() - began < 15 and not connection.pending:
            connection.send("X: y\r\n")
            with contextlib.suppress(TimeoutError):
                connection.more()
        assert connection.answer()[0] == 408

    # Each takes ten seconds.
    texts = ["G", "GET /", get(opened)[:-2], post(opened, "{", length=2)]
    with concurrent.futures.ThreadPoolExecutor() as clients:
        for client in [*(clients.submit(stop, text) for text in texts), clients.submit(drip)]:
            client.result()


def test_clients_are_bounded(opened):
    clients = [Wire(opened) for _ in range(40)]
    try:
        # Those that are too many are told at once.
        told = [client for client in clients[-8:] if client.answer()[0] == 503]
        assert len(told) == 8
    finally:
        for client in clients:
            client.socket.close()
    end = time.monotonic() + 5
    while opened.ask(opened.base + "traces")[0] != 200:
        assert time.monotonic() < end


def is_run(pid):
    """Whether a process is a run already. One that is being started holds up who starts it, and must not be halted."""
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:2] == [b"trace"]
    except OSError:
        return False


def children(opened, count):
    """The runs that it has started, when they are so many."""
    path, end = pathlib.Path(f"/proc/{opened.process.pid}"), time.monotonic() + 20
    while time.monotonic() < end:
        found = [int(pid) for task in path.glob("task/*/children") for pid in task.read_text().split() if is_run(pid)]
        if len(found) >= count:
            return found
    raise AssertionError(f"{count} programs were expected")


@contextlib.contextmanager
def held(opened, count):
    """Programs under way that do not get on meanwhile."""
    started = children(opened, count)
    for pid in started:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in started:
            os.kill(pid, signal.SIGCONT)


def made(opened):
    """The tokens of the newest trace that is ready, by its number, the process that writes it having ended."""
    end = time.monotonic() + 10
    while any(True for task in pathlib.Path(f"/proc/{opened.process.pid}").glob("task/*/children") if task.read_text()):
        assert time.monotonic() < end
        time.sleep(0.02)
    newest = max(pathlib.Path(opened.said["traces"]).glob("*.db"), key=lambda path: int(path.stem))
    with sqlite3.connect(newest) as db:
        return int(newest.stem), db.execute("SELECT count(*) FROM token").fetchone()[0]


needs_proc = pytest.mark.skipif(not pathlib.Path("/proc/self/task").exists(), reason="needs Linux's /proc")
LONG = json.dumps({"prompt": "Mia has the red ball.", "generate": 200})


@needs_proc
def test_a_run_ends_when_nobody_listens(opened, wire):
    whole = wire()
    whole.send(post(opened, LONG))
    whole.answer()
    first, tokens = made(opened)
    left = wire()
    left.send(post(opened, LONG))
    with held(opened, 1):
        assert left.head()[0] == 200
        left.socket.close()
        time.sleep(0.5)
    # It may have been stopped before it wrote anything.
    second, fewer = made(opened)
    assert second == first or fewer < tokens


@needs_proc
def test_no_more_than_two_runs_at_once(opened, wire):
    runs = [wire() for _ in range(2)]
    for connection in runs:
        connection.send(post(opened, LONG))
    with held(opened, 2):
        third = wire()
        third.send(post(opened, LONG))
        status, _, body = third.answer()
        assert status == 429 and "two runs" in json.loads(body)["error"]
    assert [connection.answer()[0] for connection in runs] == [200, 200]
    fourth = wire()
    fourth.send(post(opened, LONG))
    assert fourth.answer()[0] == 200


def test_two_tabs_do_not_disturb_each_other(opened, wire):
    first, second = wire(), wire()
    first.send(post(opened, json.dumps({"prompt": "Mia has the red ball.", "generate": 4})))
    second.send(post(opened, json.dumps({"prompt": "Tom is at the lake.", "generate": 4})))
    said = [[json.loads(line) for line in each.answer()[2].splitlines()] for each in (first, second)]
    prompts = {t["id"]: t["prompt"] for t in opened.get("traces")}
    assert [prompts[lines[-1]["trace"]] for lines in said] == ["Mia has the red ball.", "Tom is at the lake."]
