"""The classify page: pictures, photos and the camera, what the network sees of them and what it says."""

import csv
import io
import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, BrowserType, FilePayload, Locator, Page, expect

from mlitb import resources
from mlitb.engine import Engine
from mlitb.modelfile import parse
from mlitb.pixels import decode, encode_png
from tests.data_server.zips import make_zip
from tests.running import Running, command, running, until

from .chromium import FAKE_CAMERA, launch
from .pages import DIGITS_LAYERS, project, quiet

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera would have stored an upright picture that it marks with this orientation."""

SEEN = """canvas => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]"""


def payload(data: bytes, name: str = "picture.png") -> FilePayload:
    return FilePayload(name=name, mimeType="", buffer=data)


def noise(seed: int, height: int = 30, width: int = 40, channels: int = 1) -> bytes:
    """Make a picture of smooth noise."""
    small = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, channels), dtype=np.uint8)
    return encode_png(np.kron(small, np.ones((5, 5, 1), np.uint8)))


def seen(page: Page, channels: int) -> Any:
    """Read what the page shows as the network's input, [y][x][channel]."""
    canvas = page.get_by_test_id("seen")
    width, height = (int(canvas.get_attribute(name) or 0) for name in ("width", "height"))
    rgba = np.array(canvas.evaluate(SEEN), np.int64).reshape(height, width, 4)
    return rgba[:, :, :channels]


def open_page(page: Page, system: Running, name: str) -> None:
    page.goto(f"{system.master}/project/{name}/classify")
    expect(page.get_by_test_id("network-state")).to_contain_text("Network of iteration")


def choose(page: Page, files: FilePayload | list[FilePayload], how: str = "choose-pictures") -> None:
    """Choose files as soon as the page takes them."""
    expect(page.get_by_test_id(how)).to_be_enabled()
    page.get_by_test_id(how).set_input_files(files)


def test_the_page_says_of_a_picture_what_the_engine_says(visitor: Page, system: Running) -> None:
    name = project(system, "said")
    open_page(visitor, system, name)
    model, network = parse(system.visitor.get(f"/api/projects/{name}/model.json").text, Engine(resources.engine()))
    choose(visitor, [payload(noise(n), f"{n}.png") for n in (1, 2)])
    expect(visitor.get_by_test_id("thumb")).to_have_count(2)
    for n in (1, 2):
        visitor.get_by_role("button", name=f"Show {n}.png").click()
        pixels = decode(noise(n), 8, 8, 1)
        expected = network.probabilities(pixels[None])[0]
        best = model.labels[int(expected.argmax())]
        expect(visitor.locator(f"[data-testid=answer][data-best='{best}']")).to_be_visible()
        assert np.abs(seen(visitor, 1) - pixels).max() <= 1
        if n == 1:
            expect(visitor.get_by_test_id("answer-row")).to_have_count(5)
            visitor.get_by_test_id("answer-all").click()
        expect(visitor.get_by_test_id("answer-row")).to_have_count(10)
        shown = {
            row.get_attribute("data-label"): float(re.findall(r"[\d.]+", row.locator(".bar-value").inner_text())[0])
            for row in visitor.get_by_test_id("answer-row").all()
        }
        assert shown == {
            label: pytest.approx(100 * p, abs=0.6) for label, p in zip(model.labels, expected, strict=True)
        }


def test_the_answer_follows_the_newest_parameters_while_it_trains(visitor: Page, system: Running) -> None:
    name = project(system, "follows")
    open_page(visitor, system, name)
    choose(visitor, payload(noise(3)))
    expect(visitor.get_by_test_id("answer")).to_have_attribute("data-iteration", "0")
    visitor.get_by_test_id("to-project").click()
    visitor.get_by_test_id("add-worker").click()
    visitor.get_by_test_id("classify").click()
    choose(visitor, payload(noise(3)))
    expect(visitor.get_by_test_id("answer")).to_be_visible()
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    expect(visitor.get_by_test_id("answer")).to_have_attribute("data-iteration", re.compile(r"^([3-9]|\d\d+)$"))
    pill = visitor.get_by_role("link", name=re.compile("1 worker of yours"))
    expect(pill).to_be_visible()


def upright() -> Image.Image:
    """Draw a picture whose eight turns differ: smooth, so that a JPEG keeps it."""
    y, x = np.mgrid[0:48, 0:64]
    picture = np.stack([4 * x, 5 * y, np.where((x < 20) & (y < 16), 255, 40)], axis=2)
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


def photo(turn: int) -> bytes:
    """Store the picture as a camera that was held otherwise does."""
    stored = upright().transpose(TURNS[turn]) if turn in TURNS else upright()
    exif = Image.Exif()
    exif[0x0112] = turn
    out = io.BytesIO()
    stored.save(out, "JPEG", quality=95, subsampling=0, exif=exif)
    return out.getvalue()


def test_photos_are_upright_whatever_their_exif_orientation(visitor: Page, system: Running) -> None:
    layers = [
        {"type": "input", "width": 16, "height": 12, "channels": 3},
        {"type": "fully_connected"},
        {"type": "softmax"},
    ]
    name = system.owner.post("/api/projects", json={"name": "upright", "layers": layers}).json()["id"]
    visitor.goto(f"{system.master}/project/{name}/classify")
    expect(visitor.get_by_test_id("network-state")).to_contain_text("has no network to ask yet")
    expected = decode(photo(1), 16, 12, 3).astype(int)
    choose(visitor, [payload(photo(turn), f"{turn}.jpg") for turn in range(1, 9)])
    expect(visitor.get_by_test_id("thumb")).to_have_count(8)
    for turn in range(1, 9):
        visitor.get_by_role("button", name=f"Show {turn}.jpg").click()
        expect(visitor.locator(".stage-picture")).to_have_attribute("alt", f"The picture {turn}.jpg")
        assert np.abs(seen(visitor, 3) - expected).max() <= 12, f"orientation {turn}"
        assert np.abs(seen(visitor, 3) - decode(photo(turn), 16, 12, 3)).max() <= 3, "as the data server decodes it"


def test_what_is_no_picture_gets_its_sentence(visitor: Page, system: Running) -> None:
    open_page(visitor, system, "digits")
    files = [payload(b"hello", "notes.txt"), payload(noise(4), "good.png"), payload(noise(5)[:20], "cut.png")]
    choose(visitor, files)
    expect(visitor.get_by_role("alert")).to_have_count(2)
    for name in ("notes.txt", "cut.png"):
        expect(visitor.get_by_text(f"{name} is not a picture that this browser can read")).to_be_visible()
    expect(visitor.get_by_test_id("answer")).to_be_visible()


def test_pictures_can_be_dropped(visitor: Page, system: Running) -> None:
    open_page(visitor, system, "digits")
    transfer = visitor.evaluate_handle(
        """bytes => {const dropped = new DataTransfer();
        dropped.items.add(new File([new Uint8Array(bytes)], "dropped.png")); return dropped;}""",
        list(noise(6)),
    )
    visitor.dispatch_event("[data-testid=stage]", "dragenter", {"dataTransfer": transfer})
    expect(visitor.get_by_text("Let go to classify")).to_be_visible()
    visitor.dispatch_event("[data-testid=stage]", "drop", {"dataTransfer": transfer})
    expect(visitor.get_by_alt_text("The picture dropped.png")).to_be_visible()
    expect(visitor.get_by_test_id("answer")).to_be_visible()


def test_the_way_there_and_back(visitor: Page, system: Running) -> None:
    visitor.goto(system.master)
    visitor.get_by_role("link", name="Classify pictures: digits").click()
    expect(visitor.get_by_role("heading", name="Classify with digits")).to_be_visible()
    visitor.get_by_test_id("to-project").click()
    expect(visitor.get_by_test_id("project-title")).to_have_text("digits")
    visitor.goto(f"{system.master}/join/digits")
    visitor.get_by_test_id("classify").click()
    expect(visitor.get_by_test_id("network-state")).to_contain_text("Network of iteration")


def test_a_photo_is_taken_where_a_plain_http_name_gets_no_camera(tmp_path: Path, chromium: BrowserType) -> None:
    options, flags = ("--lan", "--allow-host", "lan.test"), ("--host-resolver-rules=MAP lan.test 127.0.0.1",)
    with running(tmp_path / "data", *options) as system, launch(chromium, *flags, *FAKE_CAMERA) as browser:
        page = browser.new_page()
        page.goto(f"http://lan.test:{system.port}/project/digits/classify")
        expect(page.get_by_test_id("network-state")).to_contain_text("Network of iteration")
        assert page.evaluate("isSecureContext") is False
        expect(page.get_by_test_id("no-live")).to_contain_text("start it with mlitb up --https")
        expect(page.get_by_test_id("camera")).to_have_count(0)
        expect(page.get_by_test_id("take-photo")).to_have_attribute("capture", "environment")
        choose(page, payload(photo(6), "photo.jpg"), "take-photo")
        expect(page.get_by_test_id("answer")).to_be_visible()
        assert np.abs(seen(page, 1) - decode(photo(6), 8, 8, 1)).max() <= 3


def test_a_look_inside_shows_what_the_engine_computes(visitor: Page, system: Running) -> None:
    name = project(system, "inside")
    open_page(visitor, system, name)
    model, network = parse(system.visitor.get(f"/api/projects/{name}/model.json").text, Engine(resources.engine()))
    visitor.get_by_test_id("inside").locator("summary").click()
    expect(visitor.get_by_text("its way through the network appears here")).to_be_visible()
    filters = visitor.get_by_test_id("filters")
    expect(filters).to_have_attribute("data-tiles", "8")
    weights = model.parameters[: network.layout[0].size]
    assert extremes(filters) == pytest.approx((weights.min(), weights.max()))
    choose(visitor, payload(noise(8)))
    shown = visitor.get_by_test_id("activations")
    for layer, tiles in (("conv1", "8"), ("relu2", "8"), ("input0", "1")):
        visitor.get_by_test_id("look-layer").select_option(layer)
        values = network.activations(layer, decode(noise(8), 8, 8, 1)[None])
        expect(shown).to_have_attribute("data-tiles", tiles)
        expected = pytest.approx((values.min(), values.max()), abs=0.02)
        until(partial(showing, shown, expected), f"the values of {layer}")
    expect(shown).to_have_attribute("aria-label", re.compile("1 channel of 8 × 8, values from"))
    visitor.get_by_test_id("look-layer").select_option("softmax4")
    expect(visitor.get_by_test_id("cells")).to_have_attribute("data-cells", "10")


def test_of_many_channels_some_are_shown_until_all_are_asked_for(visitor: Page, system: Running) -> None:
    wide = [{**layer, "filters": 70} if layer["type"] == "conv" else layer for layer in DIGITS_LAYERS]
    open_page(visitor, system, project(system, "many channels", wide))
    visitor.get_by_test_id("inside").locator("summary").click()
    tiles, every = visitor.get_by_test_id("filters").locator("canvas"), visitor.get_by_test_id("all-tiles")
    expect(tiles).to_have_count(64)
    for count in (70, 64):
        every.click()
        expect(tiles).to_have_count(count)


def showing(figure: Locator, expected: Any) -> bool:
    """Tell whether a figure shows values between these."""
    return bool(extremes(figure) == expected)


def extremes(figure: Locator) -> tuple[float, float]:
    """Read the least and the largest value that a figure shows."""
    return float(figure.get_attribute("data-low") or "nan"), float(figure.get_attribute("data-high") or "nan")


# ---------------------------------------------------------------------------------------------------- many pictures
def test_a_zip_becomes_the_table_that_the_command_line_writes(visitor: Page, system: Running, tmp_path: Path) -> None:
    name = project(system, "many")
    open_page(visitor, system, name)
    (tmp_path / "model.json").write_bytes(system.visitor.get(f"/api/projects/{name}/model.json").content)
    files = {f"some/{n:02}, a.png": noise(100 + n, 8, 8) for n in range(20)}
    files |= {"notes.txt": b"hello", "__MACOSX/x.png": b"", ".hidden.png": b"", "some/broken.png": noise(1)[:20]}
    archive = tmp_path / "pictures.zip"
    archive.write_bytes(make_zip(files))
    visitor.get_by_test_id("batch").locator("summary").click()
    choose(visitor, payload(archive.read_bytes(), "pictures.zip"), "batch-file")
    result = visitor.get_by_test_id("batch-result")
    expect(result).to_have_attribute("data-rows", "20")
    expect(result).to_have_attribute("data-bad", "2")
    result.locator("summary").click()
    for bad in ("notes.txt", "some/broken.png"):
        expect(result).to_contain_text(f"{bad} is not a picture that this browser can read")
    with visitor.expect_download() as download:
        visitor.get_by_test_id("batch-csv").click()
    ours = list(csv.reader(Path(download.value.path()).read_text().splitlines()))
    done = subprocess.run(
        command("predict", "--csv", str(tmp_path / "model.json"), str(archive)), capture_output=True, text=True
    )
    theirs = list(csv.reader(done.stdout.splitlines()))
    assert ours[0] == theirs[0] == ["picture", "label", "probability", *map(str, range(10))]
    assert [row[:2] for row in ours] == [row[:2] for row in theirs]
    assert np.array([row[2:] for row in ours[1:]], float) == pytest.approx(
        np.array([row[2:] for row in theirs[1:]], float), rel=1e-4, abs=1e-6
    )


def test_a_zip_that_is_none_gets_its_sentence_and_a_long_one_can_be_stopped(visitor: Page, system: Running) -> None:
    open_page(visitor, system, "digits")
    visitor.get_by_test_id("batch").locator("summary").click()
    for data, said in ((b"hello", "cannot be read as a zip"), (make_zip({}), "holds no files")):
        choose(visitor, payload(data, "odd.zip"), "batch-file")
        expect(visitor.get_by_role("alert")).to_contain_text(f"odd.zip {said}")
    many = make_zip({f"{n:05}.png": noise(3, 10, 10) for n in range(4000)})
    choose(visitor, payload(many, "many.zip"), "batch-file")
    expect(visitor.get_by_test_id("batch-progress")).to_be_visible()
    visitor.get_by_test_id("batch-stop").click()
    expect(visitor.get_by_test_id("batch-result")).to_contain_text("Stopped before the other")


# ---------------------------------------------------------------------------------------------------- the camera
KEEP_TRACKS = """
const media = navigator.mediaDevices, open = media.getUserMedia.bind(media);
window.tracks = [];
media.getUserMedia = async wish => {
  const stream = await open(wish);
  window.tracks.push(...stream.getTracks());
  return stream;
};
let hidden = false;
Object.defineProperty(document, "visibilityState", {get: () => (hidden ? "hidden" : "visible")});
window.hide = value => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
"""
STATES = "window.tracks.map(track => track.readyState)"


@pytest.fixture(scope="module")
def filmed(chromium: BrowserType) -> Iterator[BrowserContext]:
    """Start a Chromium with its fake camera, once for this file."""
    with launch(chromium, *FAKE_CAMERA) as context:
        context.add_init_script(KEEP_TRACKS)
        yield context


def test_the_camera_stops_when_it_is_not_looked_through(filmed: BrowserContext, system: Running) -> None:
    page = quiet(filmed)
    open_page(page, system, "digits")
    page.get_by_test_id("camera").click()
    expect(page.get_by_test_id("answer")).to_be_visible()
    assert page.evaluate(STATES) == ["live"]
    page.get_by_test_id("camera-stop").click()
    assert page.evaluate(STATES) == ["ended"]
    expect(page.get_by_test_id("video")).to_have_count(0)
    page.get_by_test_id("camera").click()
    expect(page.get_by_test_id("answer")).to_be_visible()
    page.evaluate("hide(true)")
    expect(page.get_by_text("turned off while this tab was hidden")).to_be_visible()
    assert page.evaluate(STATES) == ["ended"] * 2
    page.evaluate("hide(false)")
    page.get_by_test_id("camera").click()
    expect(page.get_by_test_id("answer")).to_be_visible()
    page.get_by_test_id("to-project").click()
    expect(page.get_by_test_id("project-title")).to_be_visible()
    assert page.evaluate(STATES) == ["ended"] * 3
    page.go_back()
    page.get_by_test_id("camera").click()
    expect(page.get_by_test_id("answer")).to_be_visible()
    page.evaluate("tracks[3].dispatchEvent(new Event('ended'))")
    expect(page.get_by_text("The camera was taken away")).to_be_visible()
    page.get_by_test_id("camera-dismiss").click()
    expect(page.get_by_text("The camera was taken away")).to_have_count(0)
    page.close()


def test_a_picture_chosen_while_the_camera_runs_stops_it(filmed: BrowserContext, system: Running) -> None:
    page = quiet(filmed)
    open_page(page, system, "digits")
    page.get_by_test_id("camera").click()
    expect(page.get_by_test_id("answer")).to_be_visible()
    choose(page, payload(noise(7), "still.png"))
    expect(page.get_by_alt_text("The picture still.png")).to_be_visible()
    assert page.evaluate(STATES) == ["ended"]
    page.close()


def test_another_camera_can_be_chosen(chromium: BrowserType, system: Running) -> None:
    several = "--use-fake-device-for-media-stream=device-count=2"
    with launch(chromium, several, FAKE_CAMERA[1]) as browser:
        browser.add_init_script(KEEP_TRACKS)
        page = quiet(browser)
        open_page(page, system, "digits")
        page.get_by_test_id("camera").click()
        page.get_by_test_id("camera-next").click()
        expect(page.get_by_test_id("camera-next")).to_be_visible()
        until(lambda: page.evaluate(STATES) == ["ended", "live"], "the first camera is off, the second on")
        first, second = page.evaluate("tracks.map(track => track.getSettings().deviceId)")
        assert first != second
        expect(page.get_by_test_id("answer")).to_be_visible()


def test_without_a_camera_the_page_says_what_to_do(visitor: Page, system: Running) -> None:
    open_page(visitor, system, "digits")
    visitor.get_by_test_id("camera").click()
    expect(
        visitor.get_by_text(re.compile("has no camera that the browser can use|was not allowed to use"))
    ).to_be_visible()


def test_the_pages_code_comes_only_when_it_is_opened(browser: Browser, system: Running) -> None:
    context = browser.new_context()
    page = quiet(context)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{system.master}/project/digits")
    expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    assert not [url for url in asked if "classify" in url]
    page.get_by_test_id("classify").click()
    expect(page.get_by_test_id("network-state")).to_contain_text("Network of iteration")
    assert [url for url in asked if url.endswith("classify.css")], "its style comes with it"
    context.close()
    failing = browser.new_context()
    page = quiet(failing)
    page.goto(f"{system.master}/project/digits")
    page.route("**/ui/classify/**", lambda route: route.abort())
    page.get_by_test_id("classify").click()
    expect(page.get_by_role("alert")).to_contain_text("This page could not be loaded")
    failing.close()
