"""The files of the pages: kept for good under their version, asked for again elsewhere, read again when edited."""

import asyncio
import gzip
import re
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Message

from mlitb import files
from mlitb.files import ADDRESS, EACH_TIME, FOR_GOOD, Files

MODULE = "// a module\n" + "export const one = 1;\n" * 100


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder as static/ is."""
    made = tmp_path / "static"
    (made / "js").mkdir(parents=True)
    (made / "js/one.js").write_text(MODULE)
    (made / "small.css").write_text("a {}")
    return made


@pytest.fixture
def served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    """Serve it, edits being noticed at once."""
    monkeypatch.setattr(files, "LOOK_S", 0.0)
    return Files(folder)


class Client:
    """Asks an application in which it is mounted."""

    def __init__(self, served: Files) -> None:
        app = FastAPI()
        app.mount(ADDRESS, served)
        self.transport = httpx.ASGITransport(app)

    def ask(self, method: str, path: str, **headers: str) -> tuple[httpx.Response, bytes]:
        """Give the answer and the bytes that were sent."""

        async def asked() -> tuple[httpx.Response, bytes]:
            async with httpx.AsyncClient(transport=self.transport, base_url="http://test") as client:
                words = {name.replace("_", "-"): value for name, value in headers.items()}
                async with client.stream(method, path, headers={"accept-encoding": "identity", **words}) as answer:
                    return answer, b"".join([part async for part in answer.aiter_raw()])

        return asyncio.run(asked())


@pytest.fixture
def client(served: Files) -> Client:
    """Give somebody who asks."""
    return Client(served)


def test_under_the_version_a_file_is_kept_for_good(client: Client, served: Files) -> None:
    assert re.fullmatch(r"/static/[0-9a-f]{16}", served.address())
    answer, sent = client.ask("GET", f"{served.address()}/js/one.js")
    assert sent.decode() == MODULE
    assert answer.headers["cache-control"] == FOR_GOOD
    assert answer.headers["content-type"].startswith("text/javascript")


def test_without_it_a_file_is_asked_for_again_and_sent_once(client: Client) -> None:
    answer, _ = client.ask("GET", "/static/js/one.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, EACH_TIME)
    again, sent = client.ask("GET", "/static/js/one.js", if_none_match=answer.headers["etag"])
    assert (again.status_code, sent) == (304, b"")
    head, sent = client.ask("HEAD", "/static/js/one.js")
    assert (sent, head.headers["content-length"]) == (b"", str(len(MODULE)))


def test_what_is_worth_it_is_compressed_for_who_can_read_that(client: Client) -> None:
    answer, sent = client.ask("GET", "/static/js/one.js", accept_encoding="br, gzip")
    assert (answer.headers["content-encoding"], answer.headers["vary"]) == ("gzip", "accept-encoding")
    assert len(sent) < len(MODULE) / 10
    assert gzip.decompress(sent).decode() == MODULE
    for path, encodings in (("js/one.js", "identity"), ("small.css", "gzip")):
        answer, _ = client.ask("GET", f"/static/{path}", accept_encoding=encodings)
        assert "content-encoding" not in answer.headers


def test_an_edit_gives_another_address_and_old_pages_what_there_is(client: Client, served: Files, folder: Path) -> None:
    before = served.address()
    (folder / "js/one.js").write_text(MODULE + "// edited\n")
    (folder / "js/two.js").write_text("// new\n")
    assert served.address() != before
    old, sent = client.ask("GET", f"{before}/js/one.js")
    assert (sent.decode(), old.headers["cache-control"]) == (MODULE + "// edited\n", EACH_TIME)
    new, _ = client.ask("GET", f"{served.address()}/js/two.js")
    assert new.headers["cache-control"] == FOR_GOOD
    (folder / "js/one.js").write_text(MODULE)
    (folder / "js/two.js").unlink()
    assert served.address() == before, "the content names it, not the time"


def test_what_is_replaced_under_way_is_served_as_it_was(client: Client, served: Files, folder: Path) -> None:
    before = served.address()
    folder.rename(folder.with_name("elsewhere"))
    answer, sent = client.ask("GET", f"{before}/js/one.js")
    assert (answer.status_code, sent.decode()) == (200, MODULE)


@pytest.mark.parametrize("path", ["nothing.js", "", "js", "../files.py", "%2e%2e/files.py", "js/../../x", "0" * 16])
def test_what_is_not_there_is_not_found(path: str, client: Client) -> None:
    answer, _ = client.ask("GET", f"/static/{path}")
    assert answer.status_code == 404


def test_files_are_only_read(client: Client) -> None:
    answer, _ = client.ask("POST", "/static/js/one.js")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_websocket_is_refused_without_a_fault(served: Files) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    asyncio.run(served({"type": "websocket", "path": "/js/one.js", "headers": []}, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]
