"""What the doubles of the cloud APIs share: an HTTP server on loopback that keeps state in memory, counts every call, answers
chosen calls with a fault, and notes whatever a caller sends that the real API would not take.

    with DigitalOcean() as cloud:
        cloud.faults[7] = Fault("lost")          # the seventh call is carried out, and its answer never comes
        run(..., env={"DIGITALOCEAN_API_URL": cloud.url, "DIGITALOCEAN_TOKEN": cloud.token})
        assert not cloud.violations
"""

import collections
import dataclasses
import datetime
import http.server
import json
import socket
import threading
import time
import urllib.parse


@dataclasses.dataclass
class Fault:
    """429 and 500: refused, nothing done. timeout: nothing done, no answer. lost: done, and the connection closed.
    slow: done, no answer in time. hold: nothing done, on_hold() is called, and no answer comes; held: the same when it is done."""

    kind: str
    retry_after: float | None = None
    reset: float | None = None  # ratelimit-reset, seconds from now
    on_hold: object = None


@dataclasses.dataclass
class Call:
    number: int
    method: str
    path: str
    query: dict
    body: object
    at: float
    status: int = 0  # 0: never answered
    answer: object = None


class Refused(Exception):
    """An answer other than success, as the real API gives it."""

    def __init__(self, status, code, message, headers=None):
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Window:
    """A sliding window: each call leaves it `seconds` after it came."""

    def __init__(self, limit, seconds):
        self.limit, self.seconds, self.times = limit, seconds, collections.deque()

    def take(self, now):
        """None, or how long until there is room."""
        while self.times and now - self.times[0] >= self.seconds:
            self.times.popleft()
        if len(self.times) >= self.limit:
            return self.seconds - (now - self.times[0])
        self.times.append(now)
        return None

    def left(self):
        return self.limit - len(self.times)


def stamp():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # a client that was killed or has had enough


class Double:
    """One API. Subclasses give the table of routes: (method, pattern) to a function of (self, call, *parts)."""

    token = "a-token-of-the-tests"
    prefix = ""
    routes = {}

    def __init__(self):
        self.lock = threading.RLock()
        self.calls = []
        self.faults = {}
        self.violations = []
        self.closing = threading.Event()
        double = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self):
                double.answer(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        self.server = _Server(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def base(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self):
        """What the program is given as the API's address."""
        return self.base + self.prefix

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    def violation(self, call, text):
        self.violations.append(f"call {call.number}: {call.method} {call.path}: {text}")

    # --- one request ------------------------------------------------------------------------------------------------

    def answer(self, handler):
        parts = urllib.parse.urlsplit(handler.path)
        length = int(handler.headers.get("Content-Length") or 0)
        raw = handler.rfile.read(length) if length else b""
        with self.lock:
            call = Call(len(self.calls) + 1, handler.command, parts.path,
                        dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))),
                        None, time.monotonic())
            self.calls.append(call)
            fault = self.faults.get(call.number)
        if fault and fault.kind in ("timeout", "hold"):
            self.hang(handler, fault)
            return
        try:
            with self.lock:
                if fault and fault.kind in ("429", "500"):
                    raise self.refusal(fault)
                self.check_request(call, handler, raw)
                status, document, headers = self.route(call)
        except Refused as refused:
            status, document, headers = refused.status, self.error_document(refused), {**self.rate_headers(), **refused.headers}
        if fault and fault.kind in ("slow", "held"):
            self.hang(handler, fault)
            return
        if fault and fault.kind == "lost":
            handler.close_connection = True
            handler.connection.shutdown(socket.SHUT_RDWR)
            return
        call.status, call.answer = status, document
        body = b"" if document is None else json.dumps(document).encode()
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, str(value))
        if status != 204:
            handler.send_header("Content-Type", "application/json; charset=utf-8")
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def hang(self, handler, fault):
        """Until the caller has gone, or this double closes."""
        if fault.on_hold:
            fault.on_hold()
        handler.close_connection = True
        handler.connection.settimeout(0.05)
        while not self.closing.is_set():
            try:
                if handler.connection.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except OSError:
                return

    def refusal(self, fault):
        headers = {}
        if fault.retry_after is not None:
            headers["retry-after"] = fault.retry_after
        if fault.reset is not None:
            headers["ratelimit-reset"] = int(time.time() + fault.reset)
        if fault.kind == "429":
            return Refused(429, self.too_many, "API rate limit exceeded.", headers)
        return Refused(500, self.server_error, "Server was unable to give you a response.", headers)

    def check_request(self, call, handler, raw):
        if handler.headers.get("Authorization") != f"Bearer {self.token}":
            raise self.unauthorized()
        if call.method in ("POST", "PUT", "PATCH"):
            if handler.headers.get("Content-Type") != "application/json":
                self.violation(call, f"Content-Type {handler.headers.get('Content-Type')!r}")
            try:
                call.body = json.loads(raw)
            except ValueError:
                self.violation(call, "the body is no JSON")
                raise Refused(400, self.bad_request, "malformed JSON") from None
            if not isinstance(call.body, dict):
                self.violation(call, "the body is no object")
                raise Refused(400, self.bad_request, "not an object")
        elif raw:
            self.violation(call, "a body where none is due")
        self.take_rate(call)

    def route_of(self, call):
        """The row of the table that a call belongs to, or None."""
        words = call.path.removeprefix(self.prefix).strip("/").split("/")
        for method, pattern in self.routes:
            shape = pattern.strip("/").split("/")
            if method == call.method and len(shape) == len(words) and \
                    all(s in (w, "*") for s, w in zip(shape, words)) and call.path.startswith(self.prefix + "/"):
                return method, pattern
        return None

    def route(self, call):
        row = self.route_of(call)
        if row:
            words = call.path.removeprefix(self.prefix).strip("/").split("/")
            parts = [w for s, w in zip(row[1].strip("/").split("/"), words) if s == "*"]
            status, document = self.routes[row](self, call, *parts)
            return status, document, self.rate_headers()
        self.violation(call, "there is no such operation")
        raise self.not_found()

    def known_query(self, call, *names):
        for name in call.query:
            if name not in names:
                self.violation(call, f"unknown parameter '{name}'")

    def known_keys(self, call, body, *names):
        for name in body:
            if name not in names:
                self.violation(call, f"unknown key '{name}'")

    def number(self, call, name, default, least, most):
        try:
            value = int(call.query.get(name, default))
        except ValueError:
            value = -1
        if not least <= value <= most:
            self.violation(call, f"{name}={call.query.get(name)}")
            raise Refused(400, self.bad_request, f"{name} is out of range")
        return value

    def counts(self):
        """How often each operation was called, numbers and ids taken out."""
        counter = collections.Counter()
        for call in self.calls:
            words = ["*" if any(c.isdigit() for c in w) and w != "v2" and w != "v4" else w for w in call.path.split("/")]
            counter[f"{call.method} {'/'.join(words)}"] += 1
        return dict(counter)
