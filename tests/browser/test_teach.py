"""Teaching in the page, while the network trains: by the camera, by files, who may, and what goes wrong."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserType, Page, Route, expect

from tests.data_server.zips import make_zip
from tests.running import Running, until

from .chromium import FAKE_CAMERA, launch
from .pages import findings, project, quiet
from .test_classify import choose, noise, open_page, payload

FRAMES = 8


def film(path: Path) -> Path:
    """Make a video for the fake camera: stripes that tremble, unlike any digit."""
    random = np.random.default_rng(1)
    with path.open("wb") as out:
        for number in range(FRAMES):
            x = np.arange(320)[None, :] + 2 * number
            stripes = np.where(x // 40 % 2, 250, 20) * np.ones((240, 1)) + random.normal(0, 4, (240, 320))
            Image.fromarray(stripes.clip(0, 255).astype(np.uint8)).convert("RGB").save(out, "JPEG", quality=90)
    return path


def test_twenty_frames_of_a_new_label_teach_the_network_while_it_trains(
    tmp_path: Path, chromium: BrowserType, system: Running
) -> None:
    name = project(system, "filmed")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    video = f"--use-file-for-fake-video-capture={film(tmp_path / 'stripes.mjpeg')}"
    with launch(chromium, *FAKE_CAMERA, video) as browser:
        page = browser.new_page()
        page.goto(f"{system.master}/?token={system.token}")
        page.goto(f"{system.master}/project/{name}")
        page.get_by_test_id("add-worker").click()
        until(lambda: system.iteration(name) >= 5, "it trains")
        page.get_by_test_id("classify").click()
        page.get_by_test_id("camera").click()
        answer = page.get_by_test_id("answer")
        expect(answer).to_have_attribute("data-best", re.compile(r"^\d$"))
        page.get_by_test_id("teach-label").fill("stripes")
        page.get_by_test_id("teach-record").click()
        row = page.locator("[data-testid=teach-row][data-label=stripes][data-added='20'][data-state=training]")
        expect(row).to_be_visible(timeout=60_000)
        assert "stripes" in system.project(name)["labels"]
        grown = system.iteration(name)
        expect(answer).to_have_attribute("data-best", "stripes", timeout=60_000)
        expect(page.get_by_test_id("answer-row").first).to_contain_text("stripes")
        until(lambda: system.iteration(name) >= grown + 5, "it goes on training")
    view, points = system.project(name), system.visitor.get(f"/api/projects/{name}/history").json()
    assert view["labels"] == [*map(str, range(10)), "stripes"]
    assert view["status"]["data_vectors"] == 1437 + 20
    model = system.visitor.get(f"/api/projects/{name}/model.json")
    assert "NaN" not in model.text
    assert model.json()["labels"] == view["labels"]
    assert all(np.isfinite([point["loss"], point["error"]]).all() for point in points)
    assert points[-1]["loss"] < 2.0, "what it knew is not lost"


@pytest.mark.parametrize(("width", "theme"), [(1440, "light"), (360, "dark")], ids=["desktop", "phone"])
def test_every_control_works_at_both_sizes(
    width: int, theme: str, chromium: BrowserType, axe: str, system: Running
) -> None:
    name = project(system, f"walk {width}")
    with launch(chromium, *FAKE_CAMERA) as browser:
        page = quiet(browser)
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
        page.goto(f"{system.master}/?token={system.token}")
        open_page(page, system, name)
        choose(page, [payload(noise(70 + n), f"{n}.png") for n in range(2)])
        page.get_by_test_id("thumb").nth(1).click()
        page.get_by_test_id("answer-all").click()
        page.get_by_test_id("answer-teach").nth(9).click()
        expect(page.locator("[data-testid=teach-row][data-state=training]")).to_have_count(1)
        page.get_by_test_id("camera").click()
        expect(page.get_by_test_id("video")).to_be_visible()
        page.get_by_test_id("teach-label").fill("pie")
        page.get_by_test_id("teach-record").click()
        expect(page.get_by_test_id("teach-record")).to_have_attribute("aria-pressed", "true")
        page.get_by_test_id("teach-record").click()
        expect(page.get_by_test_id("teach-record")).to_have_attribute("aria-pressed", "false")
        page.get_by_test_id("teach-add").click()
        row = page.locator("[data-testid=teach-row][data-label=pie][data-state=training]")
        expect(row).to_be_visible()
        expect(page.get_by_test_id("teach-sending")).to_have_count(0)
        assert 2 <= int(row.get_attribute("data-added") or 0) < 21, "the recording was stopped"
        for panel in ("inside", "batch"):
            page.get_by_test_id(panel).locator("summary").click()
        page.get_by_test_id("look-layer").select_option("relu2")
        expect(page.get_by_test_id("activations")).to_be_visible()
        choose(page, payload(make_zip({"a.png": noise(80), "b.png": noise(81)}), "two.zip"), "batch-file")
        expect(page.get_by_test_id("batch-result")).to_have_attribute("data-rows", "2")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "nothing sticks out"
        assert findings(page, axe) == []
        page.get_by_test_id("teach-volunteers").check()
        until(lambda: system.project(name)["settings"]["volunteers_teach"], "the setting holds")
        page.get_by_test_id("teach-volunteers").uncheck()
        until(lambda: not system.project(name)["settings"]["volunteers_teach"], "it is taken back")
        page.get_by_test_id("camera-stop").click()
        page.get_by_test_id("to-project").click()
        expect(page.get_by_test_id("project-title")).to_be_visible()


@pytest.fixture
def teacher(owner: Page, system: Running, request: pytest.FixtureRequest) -> Page:
    """Open the classify page of a fresh, paused project as its owner."""
    open_page(owner, system, project(system, request.node.name))
    return owner


def at(page: Page) -> str:
    """Give the id of the project that a page shows."""
    return page.url.split("/")[-2]


def test_a_click_on_an_answer_adds_the_picture_under_it(teacher: Page, system: Running) -> None:
    choose(teacher, payload(noise(20)))
    expect(teacher.get_by_test_id("answer-row")).to_have_count(5)
    row = teacher.get_by_test_id("answer-row").nth(2)
    label = row.get_attribute("data-label")
    row.get_by_role("button", name=f"Teach: this is {label}").click()
    done = teacher.locator(f"[data-testid=teach-row][data-label='{label}'][data-added='1']")
    expect(done).to_have_attribute("data-state", "training")
    expect(done).to_contain_text("training is paused")
    assert system.project(at(teacher))["status"]["data_vectors"] == 1438


def test_all_chosen_pictures_become_a_new_label(teacher: Page, system: Running) -> None:
    expect(teacher.get_by_test_id("teach-add")).to_be_disabled()
    choose(teacher, [payload(noise(30 + n), f"{n}.png") for n in range(3)])
    teacher.get_by_test_id("teach-all").click()
    expect(teacher.get_by_text("Say first what it is")).to_be_visible()
    expect(teacher.get_by_test_id("teach-label")).to_have_attribute("aria-invalid", "true")
    teacher.get_by_test_id("teach-label").fill("a/b")
    teacher.get_by_test_id("teach-add").click()
    expect(teacher.get_by_text("A label has at most 200 bytes, no slash")).to_be_visible()
    teacher.get_by_test_id("teach-label").fill("  Fiddle   heads ")
    expect(teacher.get_by_text("the network grows an output for it")).to_be_visible()
    teacher.get_by_test_id("teach-all").click()
    done = teacher.locator("[data-testid=teach-row][data-label='Fiddle heads'][data-added='3']")
    expect(done).to_have_attribute("data-state", "training")
    assert system.project(at(teacher))["labels"][-1] == "Fiddle heads"
    teacher.get_by_test_id("answer-all").click()
    expect(teacher.locator("[data-testid=answer-row][data-label='Fiddle heads']")).to_be_visible()
    teacher.get_by_test_id("teach-add").click()
    expect(teacher.get_by_text("is not added again")).to_be_visible()
    choose(teacher, payload(noise(34), "one more.png"))
    expect(teacher.get_by_alt_text("The picture one more.png")).to_be_visible()
    teacher.get_by_test_id("teach-label").press("Enter")
    expect(teacher.locator("[data-testid=teach-row][data-added='4']")).to_be_visible()


def test_what_could_not_be_sent_waits_for_another_try(teacher: Page, system: Running) -> None:
    choose(teacher, payload(noise(40)))
    teacher.route("**/pictures", lambda route: route.abort())
    teacher.get_by_test_id("teach-label").fill("later")
    teacher.get_by_test_id("teach-add").click()
    problem = teacher.get_by_role("alert")
    expect(problem).to_contain_text("1 picture waits here")
    teacher.get_by_test_id("teach-again").click()
    expect(problem).to_contain_text("1 picture waits here")
    teacher.unroute("**/pictures")
    teacher.get_by_test_id("teach-again").click()
    expect(teacher.locator("[data-testid=teach-row][data-label=later][data-state=training]")).to_be_visible()
    expect(problem).to_have_count(0)
    teacher.route("**/pictures", lambda route: route.abort())
    teacher.get_by_test_id("teach-label").fill("never")
    teacher.get_by_test_id("teach-add").click()
    teacher.get_by_test_id("teach-discard").click()
    expect(problem).to_have_count(0)
    assert "never" not in system.project(at(teacher))["labels"]


def test_what_arrived_though_the_answer_did_not_is_not_added_twice(teacher: Page, system: Running) -> None:
    def swallow(route: Route) -> None:
        assert route.fetch().status == 201
        route.abort()

    choose(teacher, payload(noise(42)))
    teacher.route("**/pictures", swallow)
    teacher.get_by_test_id("teach-label").fill("once")
    teacher.get_by_test_id("teach-add").click()
    expect(teacher.get_by_role("alert")).to_contain_text("1 picture waits here")
    teacher.unroute("**/pictures")
    teacher.get_by_test_id("teach-again").click()
    expect(teacher.locator("[data-testid=teach-row][data-added='1'][data-state=training]")).to_be_visible()
    assert system.project(at(teacher))["status"]["data_vectors"] == 1438


def test_a_server_that_asks_for_patience_is_given_it(teacher: Page) -> None:
    choose(teacher, payload(noise(41)))
    refused: list[str] = []

    def once(route: Route) -> None:
        if refused:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=429, json={"detail": "wait"})

    teacher.route("**/pictures", once)
    teacher.get_by_test_id("teach-label").fill("patient")
    teacher.get_by_test_id("teach-add").click()
    expect(teacher.locator("[data-testid=teach-row][data-label=patient][data-state=training]")).to_be_visible()


def test_volunteers_teach_once_the_owner_lets_them(teacher: Page, page: Page, system: Running) -> None:
    open_page(page, system, at(teacher))
    expect(page.get_by_test_id("teach-not-allowed")).to_contain_text("Only the owner")
    choose(page, payload(noise(50)))
    expect(page.get_by_test_id("answer")).to_be_visible()
    assert page.get_by_test_id("answer-teach").count() == page.get_by_test_id("teach-volunteers").count() == 0
    teacher.get_by_test_id("teach-volunteers").check()
    until(lambda: system.project(at(teacher))["settings"]["volunteers_teach"], "the setting holds")
    page.reload()
    choose(page, payload(noise(50)))
    page.get_by_test_id("teach-label").fill("from a volunteer")
    page.get_by_test_id("teach-add").click()
    expect(page.locator("[data-testid=teach-row][data-state=training]")).to_be_visible()


def test_a_picture_that_the_server_cannot_read_is_named(teacher: Page, system: Running) -> None:
    cut = noise(61)[:60]  # browsers show what there is of it, training does not take it
    choose(teacher, [payload(cut, "cut.png"), payload(noise(60), "whole.png")])
    teacher.get_by_test_id("teach-label").fill("half")
    teacher.get_by_test_id("teach-all").click()
    expect(teacher.get_by_text(re.compile("1 picture was left out: .*damaged"))).to_be_visible()
    expect(teacher.locator("[data-testid=teach-row][data-label=half][data-added='1']")).to_be_visible()
    taught = system.project(at(teacher))["datasets"][-1]["dataset"]
    report = httpx.get(f"{system.data_server}/datasets/{taught}", trust_env=False).json()
    assert report["images"] == 1
