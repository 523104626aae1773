"""Uploads by the tus protocol, through breaks and reloads, and what a browser may keep: the pages in real Chromium."""

import re
import socket
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import CDPSession, Page, Request, Route, expect

from tests.running import Running, running, until

LAYERS: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "fully_connected"},
    {"type": "softmax"},
]
SLOW = 1_000_000  # bytes per second: the zip takes several seconds
FAST = -1  # as fast as it goes


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the system's data folder."""
    return tmp_path_factory.mktemp("uploads") / "data"


@pytest.fixture(scope="module")
def system(home: Path) -> Iterator[Running]:
    """Run the system once for all tests of this file."""
    with running(home, demo=False) as started:
        yield started


@pytest.fixture
def archive(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """Give a zip of 40 pictures in two labels, 6 MB that no compression makes smaller, another one for each test."""
    random = np.random.default_rng(list(request.node.name.encode()))
    path = tmp_path / "noise.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(40):
            png = BytesIO()
            Image.fromarray(random.integers(0, 256, (220, 220, 3), dtype=np.uint8)).save(png, "PNG", compress_level=1)
            file.writestr(f"{'ab'[number % 2]}/{number}.png", png.getvalue())
    return path


class Patches(list[int]):
    """The offsets at which a page began to send, in order."""

    def __init__(self, page: Page) -> None:
        super().__init__()
        page.on(
            "request", lambda sent: self.append(int(sent.headers["upload-offset"])) if sent.method == "PATCH" else None
        )


def connection(page: Page, upload: int) -> CDPSession:
    """Make the page's connection so fast (bytes per second)."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    change(session, upload)
    return session


def change(session: CDPSession, upload: int) -> None:
    """Change how fast a page's connection is."""
    speeds = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": upload}
    session.send("Network.emulateNetworkConditions", {"offline": False, **speeds})


def new_project(system: Running, page: Page, name: str) -> None:
    """Make a project without data and open it."""
    made = system.owner.post("/api/projects", json={"name": name, "layers": LAYERS}).json()
    page.goto(f"{system.master}/project/{made['id']}")
    expect(page.get_by_test_id("upload-file")).to_be_attached()


def part(home: Path) -> int:
    """Return how many bytes of an unfinished upload the data server has."""
    return sum(path.stat().st_size for path in home.rglob("uploads/*/upload.zip"))


def begin(home: Path, page: Page, archive: Path) -> None:
    """Choose the zip and wait until the server has a part of it."""
    page.get_by_test_id("upload-file").set_input_files(archive)
    until(lambda: wait(page) and part(home) > SLOW, "a part of it came")


def wait(page: Page) -> bool:
    """Let the page's events come in."""
    page.evaluate("() => null")
    return True


def test_a_click_uploads_by_tus(owner: Page, system: Running, archive: Path) -> None:
    asked: list[str] = []
    owner.on("request", lambda sent: asked.append(f"{sent.method} {sent.url}"))
    new_project(system, owner, "by tus")
    assert not any("tus.js" in one for one in asked), "its client is loaded when it is needed"
    session = connection(owner, 3 * SLOW)
    owner.get_by_test_id("upload-file").set_input_files(archive)
    progress = owner.get_by_test_id("upload-progress")
    expect(progress).to_have_attribute("value", re.compile("[2-8][0-9]"))
    change(session, FAST)
    expect(owner.get_by_test_id("upload-report")).to_contain_text("40 pictures in 2 labels")
    expect(progress).to_have_count(0)
    assert f"POST {system.data_server}/uploads" in asked
    assert sum(one.startswith(f"PATCH {system.data_server}/uploads/") for one in asked) == 1
    assert system.project("by-tus")["status"]["data_vectors"] == 40
    assert owner.evaluate("() => Object.keys(localStorage).filter(key => key.startsWith('tus'))") == []


def send_half(system: Running, sent: Request, archive: Path) -> None:
    """Send a request of the page with half of its body, and hang up: what a dropped connection looks like."""
    body = archive.read_bytes()
    headers = {**sent.headers, "host": f"127.0.0.1:{system.data_port}", "content-length": str(len(body))}
    head = f"PATCH {sent.url.removeprefix(system.data_server)} HTTP/1.1\r\n"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", system.data_port)) as line:
        line.sendall(f"{head}{lines}\r\n".encode() + body[: len(body) // 2])


def test_an_upload_goes_on_after_a_break(owner: Page, system: Running, home: Path, archive: Path) -> None:
    new_project(system, owner, "broken")
    patches = Patches(owner)
    broken: list[str] = []
    held: list[Route] = []

    def cut(route: Route) -> None:
        """Break the first request that sends, and hold the next one until the sentence was read."""
        if route.request.method == "PATCH" and not broken:
            broken.append(route.request.url)
            send_half(system, route.request, archive)
            until(lambda: part(home) > SLOW, "a part of it came")
            route.abort("connectionreset")
        elif broken and not held:
            held.append(route)
        else:
            route.continue_()

    owner.route(f"{system.data_server}/uploads/*", cut)
    owner.get_by_test_id("upload-file").set_input_files(archive)
    expect(owner.get_by_text("The connection broke. Trying to go on with noise.zip")).to_be_visible()
    until(lambda: wait(owner) and held, "it asks where to go on")
    held[0].continue_()
    expect(owner.get_by_test_id("upload-report")).to_contain_text("40 pictures in 2 labels")
    assert patches[0] == 0
    assert patches[-1] > SLOW, "what was sent stays sent"


def test_an_upload_goes_on_after_a_reload(owner: Page, system: Running, home: Path, archive: Path) -> None:
    new_project(system, owner, "reloaded")
    patches, session = Patches(owner), connection(owner, SLOW)
    begin(home, owner, archive)
    owner.reload()
    change(session, FAST)
    owner.get_by_test_id("upload-file").set_input_files(archive)
    expect(owner.get_by_test_id("upload-report")).to_contain_text("40 pictures in 2 labels")
    assert patches[0] == 0
    assert patches[-1] > SLOW, "the same file goes on where it stopped"


def test_cancel_leaves_nothing(owner: Page, system: Running, home: Path, archive: Path) -> None:
    new_project(system, owner, "cancelled")
    known = system.visitor.get(f"{system.data_server}/datasets").json()
    session = connection(owner, SLOW)
    begin(home, owner, archive)
    owner.get_by_test_id("upload-cancel").click()
    expect(owner.get_by_test_id("upload-file")).to_be_attached()
    expect(owner.get_by_role("alert")).to_have_count(0)
    assert list(home.rglob("uploads/*")) == []
    assert system.visitor.get(f"{system.data_server}/datasets").json() == known
    patches = Patches(owner)
    change(session, FAST)
    owner.get_by_test_id("upload-file").set_input_files(archive)
    expect(owner.get_by_test_id("upload-report")).to_contain_text("40 pictures")
    assert patches == [0], "it begins anew"


def test_reading_can_be_cancelled(owner: Page, system: Running, home: Path, archive: Path) -> None:
    new_project(system, owner, "unread")
    looks: list[Route] = []
    owner.route(
        f"{system.data_server}/uploads/*",
        lambda route: looks.append(route) if route.request.method == "GET" else route.continue_(),
    )
    owner.get_by_test_id("upload-file").set_input_files(archive)
    until(lambda: wait(owner) and looks, "it is sent, and the page asks how far the reading is")
    owner.get_by_test_id("upload-cancel").click()
    expect(owner.get_by_test_id("upload-file")).to_be_attached()
    for look in looks:
        look.continue_()
    expect(owner.get_by_role("alert")).to_have_count(0)
    expect(owner.get_by_test_id("upload-report")).to_have_count(0)
    assert list(home.rglob("uploads/*")) == []
    assert system.project("unread")["datasets"] == []


def test_what_may_be_kept_reaches_the_boss_and_stays(owner: Page, system: Running) -> None:
    owner.add_init_script(
        """window.kept = []; const post = Worker.prototype.postMessage;
        Worker.prototype.postMessage = function (message, ...rest) {
          if (message.type === "keep") window.kept.push(message.bytes);
          return post.call(this, message, ...rest);
        };"""
    )
    new_project(system, owner, "kept")
    owner.wait_for_function("() => String(window.kept) === '500000000'")
    expect(owner.get_by_test_id("quota-500000000")).to_be_checked()
    owner.get_by_test_id("quota-100000000").check(force=True)
    expect(owner.get_by_test_id("quota-100000000")).to_be_checked()
    owner.wait_for_function("() => String(window.kept) === '500000000,100000000'")
    owner.get_by_test_id("quota-2000000000").check(force=True)
    owner.wait_for_function("() => String(window.kept) === '500000000,100000000,2000000000'")
    owner.get_by_test_id("quota-100000000").check(force=True)
    owner.reload()
    expect(owner.get_by_test_id("quota-100000000")).to_be_checked()
    owner.wait_for_function("() => String(window.kept) === '100000000'")
