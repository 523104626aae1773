"""A whole system, started as its users start it: who may do what, and what bad input gets.

One system serves all tests of this file, so each leaves the project `digits` as it found it.
"""

import io
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from mlitb import wire
from mlitb.core.messages import PROTOCOL, Answer, Control, FromClient, Hello, Join, Refused, Reload, Result, Welcome
from tests.data_server.zips import make_zip
from tests.running import Running, running, until


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("data"), "--allow-host", "lan.test") as started:
        yield started


def state(system: Running) -> dict[str, Any]:
    """What must not change when something is refused."""
    view = system.project()
    kept = {key: view[key] for key in ("name", "layers", "labels", "settings", "datasets")}
    return {**kept, "state": view["status"]["state"], "iteration": view["status"]["iteration"]}


def refused(system: Running) -> int:
    """How often the master refused something so far."""
    return int(sum(system.visitor.get("/api/health").json()["refused"].values()))


# ------------------------------------------------------------------------------------------ REST: who may do what
OWNERS_ACTIONS = [
    pytest.param("POST", "/api/projects", {"name": "x", "layers": [{"type": "input"}]}, id="create"),
    pytest.param("POST", "/api/tickets", {"action": "upload"}, id="upload"),
    pytest.param("POST", "/api/projects/digits/data", {"dataset": "d1"}, id="attach"),
    pytest.param("POST", "/api/projects/digits/start", None, id="start"),
    pytest.param("POST", "/api/projects/digits/pause", None, id="pause"),
    pytest.param("POST", "/api/projects/digits/reboot", None, id="reboot"),
    pytest.param("PATCH", "/api/projects/digits", {"period": 2.0}, id="set"),
    pytest.param("DELETE", "/api/projects/digits", None, id="remove"),
]


@pytest.mark.parametrize(("method", "path", "body"), OWNERS_ACTIONS)
def test_a_visitor_gets_403(system: Running, method: str, path: str, body: Any) -> None:
    before, count = state(system), refused(system)
    answer = system.visitor.request(method, path, json=body)
    assert answer.status_code == 403
    assert "owner" in answer.json()["detail"]
    assert state(system) == before
    assert refused(system) > count


@pytest.mark.parametrize("action", ["start", "pause", "reboot", "set", "remove"])
def test_a_visitor_is_refused_over_the_websocket(system: Running, action: Any) -> None:
    before = state(system)
    with welcomed(system) as socket:
        answer = ask(socket, Control("digits", action, {"period": 2.0} if action == "set" else {}))
        assert isinstance(answer, Refused)
        assert (answer.status, answer.about) == (403, "Control")
    assert state(system) == before


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/datasets?name=x&width=8&height=8&channels=1"), ("DELETE", "/datasets/d1"),
     ("POST", "/datasets/d1/cuts?width=8&height=8&channels=1"), ("PUT", "/datasets/d1/uses/digits")],
)  # fmt: skip
@pytest.mark.parametrize("ticket", ["", "forged.ticket.here"])
def test_the_data_server_wants_a_ticket(system: Running, method: str, path: str, ticket: str) -> None:
    headers = {"authorization": f"Bearer {ticket}"} if ticket else {}
    answer = httpx.request(method, system.data_server + path, headers=headers, content=b"", trust_env=False)
    assert answer.status_code == 403
    assert answer.json()["detail"]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_ticket_comes_with_the_address_that_takes_it(system: Running, host: str) -> None:
    headers = {"host": f"{host}:{system.port}"}
    told = system.owner.post("/api/tickets", json={"action": "upload"}, headers=headers).json()
    assert told["url"] == f"http://{host}:{system.data_port}"
    headers = {"authorization": f"Bearer {told['ticket']}"}
    answer = httpx.post(f"{told['url']}/datasets?width=8&height=8", headers=headers, content=b"", trust_env=False)
    assert (answer.status_code, "nothing was uploaded" in answer.json()["detail"]) == (400, True), "it is let in"


def test_the_printed_link_becomes_a_cookie_and_leaves_the_address(system: Running) -> None:
    with httpx.Client(trust_env=False) as browser:
        answer = browser.get(system.link)
        assert answer.status_code == 303
        assert "token" not in answer.headers["location"]
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith(f"mlitb-owner-{system.port}=")
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        paused = browser.post(f"{system.master}/api/projects/digits/pause")
        assert paused.status_code == 200
        assert browser.post(f"{system.master}/api/projects/digits/start").status_code == 200


def test_a_wrong_token_is_refused(system: Running) -> None:
    answer = system.visitor.get("/?token=wrong", headers={"accept": "text/html"})
    assert answer.status_code == 403
    assert "link" in answer.text


# ------------------------------------------------------------------------------------------------ host and origin
@pytest.mark.parametrize("host", ["evil.example", "192.168.1.7", "evil.local"])
def test_a_foreign_host_is_refused(system: Running, host: str) -> None:
    for base in (system.master, system.data_server):
        answer = httpx.get(f"{base}/", headers={"host": host}, trust_env=False)
        assert answer.status_code == 400
        assert "host" in answer.json()["detail"]


def test_urls_follow_the_host_that_was_asked_for(system: Running) -> None:
    for host in ("lan.test", "127.0.0.1", "localhost"):
        answer = system.visitor.get("/api/config", headers={"host": f"{host}:{system.port}"})
        assert answer.json()["data_url"] == f"http://{host}:{system.data_port}"
        assert f"http://{host}:{system.data_port}" in answer.headers["content-security-policy"]


def test_a_foreign_page_may_not_act_even_with_the_owners_cookie(system: Running) -> None:
    before = state(system)
    answer = system.owner.post("/api/projects/digits/pause", headers={"origin": "http://evil.example"})
    assert answer.status_code == 403
    assert "evil.example" in answer.json()["detail"]
    assert state(system) == before


def test_a_foreign_page_gets_no_websocket(system: Running) -> None:
    foreign = Origin("http://evil.example")
    with pytest.raises(InvalidStatus, match="403"), connect(socket_url(system), origin=foreign):
        pass


def test_the_data_server_shares_with_its_masters_pages_only(system: Running) -> None:
    def allowed(origin: str) -> str | None:
        answer = httpx.get(f"{system.data_server}/datasets", headers={"origin": origin}, trust_env=False)
        shared: str | None = answer.headers.get("access-control-allow-origin")
        return shared

    for host in ("localhost", "127.0.0.1", "lan.test"):
        assert allowed(f"http://{host}:{system.port}") == f"http://{host}:{system.port}"
    assert allowed("http://evil.example") is None
    assert allowed(f"http://localhost:{system.port + 7}") is None


# ------------------------------------------------------------------------------------------------ bad input: REST
def a_png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(out, "png")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"this is not a zip at all", "zip", id="not a zip"),
        pytest.param(b"", "empty", id="nothing"),
        pytest.param(make_zip({}), "no", id="empty zip"),
        pytest.param(make_zip({"a.png": a_png()}), "folder", id="no label folder"),
        pytest.param(make_zip({"a/1.png": a_png()[:40]}), "a/1.png", id="truncated PNG"),
    ],
)
def test_a_bad_upload_is_answered_with_a_sentence(system: Running, data: bytes, words: str) -> None:
    before = httpx.get(f"{system.data_server}/datasets", trust_env=False).json()
    answer = system.upload(data)
    assert answer.status_code in (400, 413, 415, 422)
    assert words in json.dumps(answer.json()).lower()
    assert httpx.get(f"{system.data_server}/datasets", trust_env=False).json() == before


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "words"),
    [
        ("GET", "/api/projects/nothing", None, 404, "nothing"),
        ("GET", "/api/no/such/thing", None, 404, "/api/no/such/thing"),
        ("GET", "/api/projects/nothing/model.json", None, 404, "nothing"),
        ("POST", "/api/projects/nothing/start", None, 404, "nothing"),
        ("POST", "/api/projects", {"name": "x"}, 422, "layers"),
        ("POST", "/api/projects", {"name": "x", "layers": [{"type": "magic"}]}, 422, "magic"),
        ("POST", "/api/projects/digits/data", {"dataset": "no-such"}, 404, "no-such"),
        ("POST", "/api/projects/digits/data", {"dataset": "../../etc"}, 404, "etc"),
        ("PATCH", "/api/projects/digits", {"period": 0.01}, 422, "period"),
        ("PATCH", "/api/projects/digits", {"perriod": 1}, 422, "perriod"),
        ("PATCH", "/api/projects/digits", {"layers": []}, 422, "layers"),
        ("PATCH", "/api/projects/digits", {"layers": {"conv1": 3}}, 422, "conv1"),
        ("PATCH", "/api/projects/digits", {"period": 2, "layers": {"conv1": {"filters": 9}}}, 422, "conv1"),
        ("POST", "/api/tickets", {"action": "rule"}, 422, "action"),
    ],
)
def test_bad_requests_name_what_is_wrong(
    system: Running, method: str, path: str, body: Any, status: int, words: str
) -> None:
    before, count = state(system), refused(system)
    answer = system.owner.request(method, path, json=body)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert refused(system) > count
    assert state(system)["settings"] == before["settings"]


@pytest.mark.parametrize("path", ["/nowhere", "/project/nothing", "/static/js/nothing.js"])
def test_unknown_pages_say_so(system: Running, path: str) -> None:
    answer = system.visitor.get(path, headers={"accept": "text/html,*/*"})
    assert answer.status_code == 404
    assert "<html" in answer.text
    assert path.rpartition("/")[2] in answer.text


def test_the_same_data_twice_is_refused(system: Running) -> None:
    (dataset,) = system.project()["datasets"]
    answer = system.owner.post("/api/projects/digits/data", json={"dataset": dataset["dataset"]})
    assert answer.status_code == 409


def test_a_data_set_that_does_not_fit_is_refused_with_both_shapes(system: Running) -> None:
    report = system.upload(make_zip({"a/1.png": a_png(), "b/2.png": a_png()}), width="16", height="12").json()
    answer = system.owner.post("/api/projects/digits/data", json={"dataset": report["id"]})
    assert answer.status_code == 409
    assert "8×8×1" in answer.json()["detail"]
    assert "16×12×1" in answer.json()["detail"]


# ------------------------------------------------------------------------------------------- bad input: WebSocket
def socket_url(system: Running) -> str:
    return f"ws://127.0.0.1:{system.port}/ws"


def engine_hash(system: Running) -> str:
    return str(system.visitor.get("/api/config").json()["engine"])


@contextmanager
def welcomed(system: Running) -> Iterator[ClientConnection]:
    """Connect and say hello as the right browser does."""
    with connect(socket_url(system)) as socket:
        answer = ask(socket, Hello(PROTOCOL, engine_hash(system), device="test"))
        assert isinstance(answer, Welcome)
        assert not answer.owner
        yield socket


def send(socket: ClientConnection, message: FromClient, vector: Any = None) -> None:
    socket.send(wire.encode(message, vector))


def ask(socket: ClientConnection, message: FromClient, vector: Any = None) -> Any:
    """Send a message and return the first answer."""
    send(socket, message, vector)
    answer = socket.recv(timeout=10)
    assert isinstance(answer, bytes)
    return wire.decode_server(answer)[0]


def closing(socket: ClientConnection) -> tuple[int, str]:
    """Read until the server closes; return code and reason."""
    for _ in range(20):
        try:
            socket.recv(timeout=10)
        except ConnectionClosed as closed:
            return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (0, "")
    raise AssertionError("the server sends and sends")


def frame(head: bytes, values: int = 0, length: int | None = None) -> bytes:
    padded = head + b" " * (-len(head) % 8)
    return b"MLB\x01" + struct.pack("<III", len(padded) if length is None else length, values, 0) + padded


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        pytest.param("hello", {1003, 1007, 1008}, id="text"),
        pytest.param(b"", {1003, 1007}, id="empty"),
        pytest.param(b"GARBAGE" * 10, {1003, 1007}, id="no header"),
        pytest.param(frame(b"{}", length=999), {1003, 1007}, id="wrong head length"),
        pytest.param(frame(b"not json"), {1003, 1007}, id="not JSON"),
        pytest.param(frame(b'{"type": "Sudo"}'), {1003, 1007}, id="unknown type"),
        pytest.param(frame(b'{"type": "Hello", "protocol": "one", "engine": "x"}'), {1003, 1007}, id="wrong field"),
        pytest.param(frame(b'{"type": "Watch", "project": "digits"}', values=9), {1003, 1007}, id="missing vector"),
    ],
)
def test_a_frame_that_cannot_be_read_closes_with_a_reason(system: Running, data: Any, codes: set[int]) -> None:
    before, count = state(system), refused(system)
    with connect(socket_url(system)) as socket:
        socket.send(data)
        code, reason = closing(socket)
    assert code in codes
    assert len(reason) > 10
    assert state(system)["settings"] == before["settings"]
    until(lambda: refused(system) > count, "it is counted")


@pytest.mark.parametrize(
    "hello",
    [Hello(PROTOCOL + 1, "any"), Hello(PROTOCOL, "0" * 64)],
    ids=["other protocol", "other engine"],
)
def test_another_version_is_told_to_reload(system: Running, hello: Hello) -> None:
    with connect(socket_url(system)) as socket:
        assert isinstance(ask(socket, hello), Reload)
        closing(socket)


def test_hello_must_come_first(system: Running) -> None:
    count = refused(system)
    with connect(socket_url(system)) as socket:
        send(socket, Join("digits", 1))
        code, reason = closing(socket)
    assert code == 1008
    assert "Hello" in reason
    assert refused(system) > count


def hello(system: Running, resume: str = "") -> Welcome:
    """Connect, say hello and leave; return the Welcome."""
    with connect(socket_url(system)) as socket:
        answer = ask(socket, Hello(PROTOCOL, engine_hash(system), resume))
        assert isinstance(answer, Welcome)
        return answer


def test_a_resume_token_brings_the_same_browser_back_and_cannot_be_guessed(system: Running) -> None:
    first, second = hello(system), hello(system)
    assert first.client != second.client
    assert hello(system, first.resume).client == first.client
    number, _, signature = first.resume.rpartition(".")
    assert len(signature) >= 27, "160 bits"
    forged = f"{second.resume.rpartition('.')[0]}.{signature}"
    for guess in (forged, f"{number}.{signature[:-1]}", number, "1", str(first.client)):
        assert hello(system, guess).client not in (first.client, second.client)


def test_a_join_to_an_unknown_project_is_refused(system: Running) -> None:
    with welcomed(system) as socket:
        answer = ask(socket, Join("nothing", 1))
        assert isinstance(answer, Refused)
        assert answer.status == 404
        assert "nothing" in answer.reason


@pytest.mark.parametrize(
    ("values", "iteration"),
    [
        pytest.param(np.zeros(3, np.float32), 0, id="wrong length"),
        pytest.param(np.full(5, np.nan, np.float32), 0, id="NaN"),
        pytest.param(np.zeros(5, np.float32), 10**6, id="wrong iteration"),
    ],
)
def test_a_gradient_that_nobody_ordered_changes_nothing(system: Running, values: Any, iteration: int) -> None:
    before, count = state(system), refused(system)
    with welcomed(system) as socket:
        answer = ask(socket, Answer("digits", iteration, (Result(1, 5, 1.0, 1, 10.0),)), values)
        assert isinstance(answer, Refused)
        assert answer.reason
    assert state(system) == before
    assert refused(system) > count


# ------------------------------------------------------------------------------------------ what monitors ask
@pytest.mark.parametrize(
    "path", ["/", "/join/digits", "/healthz", "/readyz", "/api/health", "/api/projects", "/nothing"]
)
def test_head_tells_what_get_would_and_sends_nothing(system: Running, path: str) -> None:
    whole, head = system.visitor.get(path), system.visitor.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert whole.content


def test_what_only_acts_refuses_head(system: Running) -> None:
    assert system.owner.head("/api/projects/digits/start").status_code == 405


def test_the_data_server_tells_by_head_that_it_is_well(system: Running) -> None:
    answer = httpx.head(f"{system.data_server}/healthz", trust_env=False)
    assert (answer.status_code, answer.content) == (200, b"")
