"""The pages, as people use them: every control in real Chromium, against the real servers."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, BrowserType, FilePayload, Page, Request, expect

from mlitb.datasets import digits_zip
from tests.running import Running, running, until

from .bundle import build_test_vendor
from .chromium import launch

STATIC = Path(__file__).resolve().parents[2] / "static"
WIDTHS = (360, 390, 768, 1440, 2560)
THEMES = ("light", "dark")
DIGITS_LAYERS: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "conv", "filters": 8, "kernel": 3, "padding": 1},
    {"type": "relu"},
    {"type": "fully_connected"},
    {"type": "softmax"},
]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run the system once for all tests of this file; each makes the projects that it changes."""
    with running(tmp_path_factory.mktemp("pages") / "data") as started:
        yield started


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the digits as a zip of label folders."""
    return digits_zip(tmp_path_factory.mktemp("zip") / "digits.zip")


def quiet(context: BrowserContext) -> Page:
    """Open a page that fails the test when its console shows an error."""
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"the page threw {error}"))
    return page


@pytest.fixture
def owner(browser: Browser, system: Running) -> Iterator[Page]:
    """Open the projects as the owner."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(20_000)
    page = quiet(context)
    page.goto(f"{system.master}/?token={system.token}")
    yield page
    context.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Page]:
    """Open a page as anybody."""
    context = browser.new_context(viewport={"width": 390, "height": 844})
    context.set_default_timeout(20_000)
    yield quiet(context)
    context.close()


def project(system: Running, name: str) -> str:
    """Make a project with the digits as its data, and return its id."""
    made = system.owner.post(
        "/api/projects", json={"name": name, "layers": DIGITS_LAYERS, "settings": {"period": 0.5}}
    ).json()
    dataset = system.project("digits")["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{made['id']}/data", json={"dataset": dataset}).raise_for_status()
    return str(made["id"])


def figure(page: Page, name: str) -> float:
    """Read a figure of the status strip; NaN while there is none."""
    found = re.search(r"[\d.]+", page.get_by_test_id(f"stat-{name}").inner_text().replace(",", ""))
    return float(found.group()) if found else float("nan")


# ------------------------------------------------------------------------------------------------- a project
def test_a_project_shows_how_it_learns(visitor: Page, system: Running) -> None:
    name = project(system, "learns")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    visitor.get_by_test_id("add-worker").click()
    until(lambda: figure(visitor, "iteration") >= 6, "six iterations on the page")
    state = system.project(name)["status"]
    assert figure(visitor, "error") == pytest.approx(100 * state["error"], abs=25), "error is a share in per cent"
    assert 0 < figure(visitor, "loss") < 5
    assert figure(visitor, "trainers") == 1
    for chart in ("error", "loss", "power"):
        shown = visitor.get_by_test_id(f"chart-{chart}")
        assert int(shown.get_attribute("data-points") or 0) >= 4
        assert "iteration" in (shown.locator(".plot").get_attribute("aria-label") or "")
    visitor.reload()
    expect(visitor.get_by_test_id("chart-error")).to_have_attribute("data-points", re.compile(r"^([4-9]|\d\d+)$"))


def test_my_workers_pause_resume_and_leave(visitor: Page, system: Running) -> None:
    name = project(system, "workers")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    add, rows = visitor.get_by_test_id("add-worker"), visitor.get_by_test_id("worker-row")
    add.click()
    add.click()
    expect(rows).to_have_count(2)
    state = rows.first.get_by_test_id("worker-state")
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    rows.first.get_by_test_id("pause-worker").click()
    expect(state).to_have_attribute("data-state", "paused")
    expect(state).to_have_text("Paused")
    until(lambda: system.project(name)["status"]["trainers"] == 1, "the master knows of the pause")
    rows.first.get_by_test_id("resume-worker").click()
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    expect(visitor.get_by_test_id("roster-row")).to_have_count(2)
    visitor.get_by_test_id("show-mine").check(force=True)
    expect(visitor.get_by_test_id("roster-row")).to_have_count(2)
    for left in (1, 0):
        rows.first.get_by_test_id("remove-worker").click()
        expect(rows).to_have_count(left)
    until(lambda: system.project(name)["status"]["trainers"] == 0, "both are gone")


def test_workers_go_on_while_their_person_looks_elsewhere(owner: Page, system: Running) -> None:
    name = project(system, "elsewhere")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("add-worker").click()
    until(lambda: system.iteration(name) >= 2, "it trains")
    owner.get_by_role("navigation").get_by_role("link", name="Projects").click()
    expect(owner.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    at = system.iteration(name)
    until(lambda: system.iteration(name) >= at + 3, "it still trains")
    owner.get_by_role("link", name=re.compile("1 worker of yours")).click()
    expect(owner.get_by_test_id("worker-row")).to_have_count(1)
    owner.go_back()
    expect(owner.get_by_test_id("project-card").first).to_be_visible()


def test_the_intensity_is_tuned_at_once_and_remembered(visitor: Page, system: Running) -> None:
    name = project(system, "intensity")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    visitor.get_by_test_id("intensity-full").check(force=True)
    visitor.get_by_test_id("add-worker").click()
    expect(visitor.get_by_test_id("roster-row")).to_have_count(1)
    visitor.get_by_test_id("intensity-gentle").check(force=True)
    budget = visitor.get_by_test_id("roster-row").locator("td").nth(4)

    def budget_ms() -> float:
        return float(re.sub(r"[^\d.]", "", budget.inner_text()) or "0")

    until(lambda: 0 < budget_ms() <= 0.31 * 500, "the budget is 30 % of T at most")
    visitor.reload()
    expect(visitor.get_by_test_id("intensity-gentle")).to_be_checked()


# ------------------------------------------------------------------------------------------------- the owner
def test_a_new_project_from_the_first_click_to_the_trained_network(owner: Page, system: Running, archive: Path) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("create").click()
    expect(owner.get_by_text("Give the project a name.")).to_be_visible()
    owner.get_by_test_id("project-name").fill("From clicks")
    owner.get_by_test_id("preset").select_option("digits")
    owner.get_by_test_id("period").fill("0.5")
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/from-clicks")
    expect(owner.get_by_text("Next: give it pictures")).to_be_visible()
    owner.get_by_test_id("upload-file").set_input_files(archive)
    report = owner.get_by_test_id("upload-report")
    expect(report).to_contain_text("1,797 pictures in 10 labels")
    expect(owner.get_by_test_id("stat-data")).to_have_text("1,437")
    owner.get_by_test_id("start").click()
    owner.get_by_test_id("add-worker").click()
    until(lambda: system.iteration("from-clicks") >= 3, "it trains")
    with owner.expect_download() as download:
        owner.get_by_test_id("download-model").click()
    assert json.loads(Path(download.value.path()).read_text())["labels"] == [str(digit) for digit in range(10)]


def test_what_the_server_refuses_stands_at_the_layers(owner: Page) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("project-name").fill("Own layers")
    owner.get_by_test_id("preset").select_option("own")
    layers = owner.get_by_test_id("layers-json")
    assert json.loads(layers.input_value())[0]["type"] == "input", "the last preset is the start"
    for wrong, said in (
        ("[{", "not valid JSON"),
        (json.dumps(DIGITS_LAYERS[:-1]), "last layer must be softmax"),
        (json.dumps([DIGITS_LAYERS[0], {"type": "conv", "kernel": 99}, DIGITS_LAYERS[-1]]), "does not fit"),
    ):
        layers.fill(wrong)
        owner.get_by_test_id("create").click()
        expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text(said)
        expect(layers).to_have_attribute("aria-invalid", "true")
        expect(layers).to_have_accessible_description(re.compile(said))
    model = {"labels": ["a"], "layers": [DIGITS_LAYERS[0] | {"mean": [0.1], "std": [0.2]}, *DIGITS_LAYERS[1:]]}
    for text in ("[]", json.dumps(model)):
        file = FilePayload(name="net.json", mimeType="application/json", buffer=text.encode())
        owner.get_by_test_id("layers-file").set_input_files(file)
        expect(owner.get_by_text("net.json holds no layers")).to_have_count(1 if text == "[]" else 0)
    assert json.loads(layers.input_value()) == DIGITS_LAYERS
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/own-layers")


def test_layers_are_edited_by_hand(owner: Page, system: Running) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("project-name").fill("By hand")
    rows, total = owner.get_by_test_id("layer-row"), owner.get_by_test_id("network-total")
    expect(rows).to_have_count(6)
    expect(total).to_contain_text("2,730 parameters")
    owner.get_by_label("filters: Convolution 1").fill("4")
    owner.get_by_label("filters: Convolution 1").press("Enter")
    expect(total).to_contain_text("690 parameters")
    expect(owner.get_by_test_id("preset")).to_have_value("edited")
    owner.get_by_test_id("add-dropout").click()
    expect(rows.nth(4)).to_contain_text("Dropout")
    owner.get_by_role("button", name="Move Dropout 4 up").click()
    expect(rows.nth(3)).to_contain_text("Dropout")
    rows.nth(3).locator(".grip").drag_to(rows.nth(1))
    expect(rows.nth(1)).to_contain_text("Dropout")
    owner.get_by_role("button", name="Remove Dropout 1").click()
    expect(rows).to_have_count(6)
    owner.get_by_test_id("undo").click()
    expect(rows.nth(1)).to_contain_text("Dropout")
    owner.get_by_test_id("redo").click()
    expect(rows).to_have_count(6)
    owner.get_by_label("kernel: Convolution 1").fill("3×20")
    owner.get_by_label("kernel: Convolution 1").press("Tab")
    expect(rows.nth(1)).to_contain_text("does not fit into 8×8×1")
    owner.get_by_test_id("create").click()
    expect(rows.nth(1)).to_contain_text("a kernel of 20 does not fit")
    owner.get_by_test_id("undo").click()
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/by-hand")
    assert system.project("by-hand")["layers"][1]["filters"] == 4


def test_start_pause_reboot_and_remove(owner: Page, system: Running) -> None:
    name = project(system, "controlled")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("start").click()
    owner.get_by_test_id("add-worker").click()
    until(lambda: system.iteration(name) >= 3, "it trains")
    owner.get_by_test_id("pause").click()
    expect(owner.get_by_test_id("start")).to_be_visible()
    assert system.project(name)["status"]["state"] == "paused"
    at = system.iteration(name)
    owner.get_by_test_id("reboot").click()
    expect(owner.get_by_role("dialog")).to_contain_text(f"{at} iterations of training")
    owner.get_by_test_id("confirm").click()
    until(lambda: system.project(name)["status"]["error"] == -1, "it knows nothing again")
    expect(owner.get_by_test_id("chart-error")).to_have_attribute("data-points", "0")
    owner.get_by_test_id("remove-project").click()
    expect(owner.get_by_role("dialog")).to_contain_text("cannot be undone")
    owner.keyboard.press("Escape")
    expect(owner.get_by_role("dialog")).to_be_hidden()
    owner.get_by_test_id("remove-project").click()
    owner.get_by_test_id("confirm").click()
    owner.wait_for_url(f"{system.master}/")
    assert system.visitor.get(f"/api/projects/{name}").status_code == 404


def test_settings_change_while_it_runs(owner: Page, system: Running) -> None:
    name = project(system, "tuned")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_role("heading", name="Settings", exact=True).click()
    owner.get_by_test_id("setting-learning_rate").fill("0.125")
    owner.get_by_test_id("setting-period").fill("99")
    owner.get_by_test_id("save-settings").click()
    expect(owner.get_by_text(re.compile("period must be", re.I))).to_be_visible()
    owner.get_by_test_id("setting-period").fill("2")
    owner.get_by_test_id("save-settings").click()
    expect(owner.get_by_test_id("stat-period")).to_have_text(re.compile(r"^2\s?s$"))
    settings = system.project(name)["settings"]
    assert (settings["learning_rate"], settings["period"]) == (0.125, 2.0)


def zipped(files: dict[str, bytes]) -> bytes:
    """Zip some files."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name, data in files.items():
            file.writestr(name, data)
    return made.getvalue()


def test_a_bad_upload_says_what_is_wrong(owner: Page, system: Running, archive: Path) -> None:
    made = system.owner.post("/api/projects", json={"name": "bad data", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    chooser = owner.get_by_test_id("upload-file")
    for name, data, said in (
        ("notes.txt", b"hello", "not a zip file"),
        ("fake.zip", b"hello", "zip"),
        ("empty.zip", zipped({}), "no"),
    ):
        chooser.set_input_files({"name": name, "mimeType": "application/zip", "buffer": data})
        expect(owner.get_by_role("alert")).to_contain_text(re.compile(said, re.I))
    with zipfile.ZipFile(archive) as file:
        some = {name: file.read(name) for name in file.namelist()[:40]}
    mixed = zipped({**some, "train/0/readme.txt": b"hello"})
    chooser.set_input_files({"name": "mixed.zip", "mimeType": "application/zip", "buffer": mixed})
    report = owner.get_by_test_id("upload-report")
    expect(report).to_contain_text("1 file was skipped")
    report.locator("summary").click()
    expect(report).to_contain_text("readme.txt")


def test_a_zip_can_be_dropped(owner: Page, system: Running, archive: Path) -> None:
    made = system.owner.post("/api/projects", json={"name": "dropped", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    expect(owner.locator(".drop")).to_be_visible()
    data = list(archive.read_bytes())
    transfer = owner.evaluate_handle(
        """bytes => {const dropped = new DataTransfer();
        dropped.items.add(new File([new Uint8Array(bytes)], "digits.zip")); return dropped;}""",
        data,
    )
    owner.dispatch_event(".drop", "dragenter", {"dataTransfer": transfer})
    expect(owner.get_by_text("Let go to upload")).to_be_visible()
    owner.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    expect(owner.get_by_test_id("upload-report")).to_contain_text("1,797 pictures")


def test_a_data_set_that_is_there_can_be_used_again(owner: Page, system: Running) -> None:
    made = system.owner.post("/api/projects", json={"name": "again", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    owner.get_by_test_id("existing-data").select_option(index=0)
    owner.get_by_test_id("use-existing").click()
    until(lambda: system.project(made["id"])["datasets"], "the project has data")
    expect(owner.get_by_test_id("upload-report")).to_be_visible()


def test_a_visitor_sees_no_control_of_the_owner(visitor: Page, system: Running) -> None:
    visitor.goto(system.master)
    expect(visitor.get_by_test_id("project-card").first).to_be_visible()
    expect(visitor.get_by_test_id("new-project")).to_have_count(0)
    visitor.goto(f"{system.master}/project/digits")
    expect(visitor.get_by_test_id("download-model")).to_be_visible()
    for control in ("start", "pause", "reboot", "remove-project", "upload-file", "save-settings"):
        expect(visitor.get_by_test_id(control)).to_have_count(0)


# ------------------------------------------------------------------------------------------------ the volunteer
def test_a_volunteer_lends_a_device_with_one_button(owner: Page, visitor: Page, system: Running) -> None:
    name = project(system, "joined")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    owner.goto(f"{system.master}/project/{name}")
    link = owner.get_by_test_id("invite-link").input_value()
    assert link == f"{system.master}/join/{name}"
    owner.get_by_test_id("show-qr").click()
    expect(owner.get_by_test_id("qr")).to_have_attribute("aria-label", f"QR code of {link}")
    visitor.goto(link)
    state = visitor.get_by_test_id("join-state")
    expect(state).to_have_attribute("data-state", "off")
    visitor.get_by_test_id("add-worker").click()
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    expect(visitor.get_by_text("Thank you")).to_be_visible()
    system.owner.post(f"/api/projects/{name}/pause").raise_for_status()
    expect(state).to_contain_text("the owner has paused the project")
    visitor.get_by_test_id("stop").click()
    expect(state).to_have_attribute("data-state", "off")
    until(lambda: system.project(name)["status"]["trainers"] == 0, "the worker is gone")


def test_a_kiosk_starts_without_a_click_once_its_person_agreed(visitor: Page, system: Running) -> None:
    name = project(system, "kiosk")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    address = f"{system.master}/join/{name}?auto=1&intensity=balanced"
    visitor.goto(address)
    state = visitor.get_by_test_id("join-state")
    expect(state).to_have_attribute("data-state", "off")
    visitor.get_by_test_id("add-worker").click()
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    visitor.goto(address)
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    expect(visitor.get_by_text("you agreed on this device before")).to_be_visible()
    expect(visitor.get_by_test_id("intensity-balanced")).to_be_checked()


# -------------------------------------------------------------------------------------------------- what goes wrong
def test_unknown_addresses_get_a_page_that_leads_on(visitor: Page, system: Running) -> None:
    for path in ("/project/nowhere", "/join/nowhere", "/nothing/here"):
        answer = visitor.goto(f"{system.master}{path}")
        assert answer is not None
        assert answer.status == 404
        expect(visitor.get_by_role("heading", name="Not found")).to_be_visible()
        visitor.get_by_role("link", name="See all projects").click()
        expect(visitor.get_by_role("heading", name="Projects", exact=True)).to_be_visible()


def test_a_project_removed_by_its_owner_says_so(visitor: Page, system: Running) -> None:
    name = project(system, "removed")
    visitor.goto(f"{system.master}/project/{name}")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    system.owner.delete(f"/api/projects/{name}").raise_for_status()
    expect(visitor.get_by_text("This project was removed by its owner")).to_be_visible()


def test_a_lost_connection_is_told_in_words(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data") as own, launch(chromium) as context:
        page = context.new_page()
        page.goto(f"{own.master}/project/digits")
        connection = page.get_by_test_id("connection")
        expect(connection).to_have_text("Connected")
        own.stop()
        expect(connection).to_have_attribute("data-state", "lost")
        expect(connection).to_have_text(re.compile("Connection lost, retrying"))


# ------------------------------------------------------------------------------------------------------- manners
PAGES = ("/", "/project/digits", "/join/digits", "/nothing")


def fits(page: Page) -> bool:
    """Tell whether nothing makes the page scroll sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_its_window(path: str, owner: Page, system: Running) -> None:
    owner.goto(f"{system.master}{path}")
    owner.wait_for_load_state("networkidle")
    for width in WIDTHS:
        owner.set_viewport_size({"width": width, "height": 900})
        # a chart follows its column one frame later, hence the wait
        until(lambda: fits(owner), f"{path} fits into {width} px", 5)


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious(theme: str, browser: Browser, system: Running) -> None:
    axe = (build_test_vendor() / "axe.js").read_text()
    context = browser.new_context(color_scheme="dark" if theme == "dark" else "light", reduced_motion="reduce")
    page = quiet(context)
    page.goto(f"{system.master}/?token={system.token}")
    for path in PAGES:
        page.goto(f"{system.master}{path}")
        page.wait_for_load_state("networkidle")
        assert findings(page, axe) == [], path
    page.goto(system.master)
    page.get_by_test_id("new-project").click()
    assert findings(page, axe) == [], "new project"
    context.close()


def findings(page: Page, axe: str) -> list[Any]:
    """Run axe-core on a page; return what it finds serious or critical."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (found["id"], [node["html"] for node in found["nodes"]])
        for found in result["violations"]
        if found["impact"] in ("serious", "critical")
    ]


def test_the_policy_forbids_nothing_that_the_pages_do(owner: Page, system: Running) -> None:
    said: list[str] = []
    owner.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    for path in PAGES[:3]:
        owner.goto(f"{system.master}{path}")
        owner.wait_for_load_state("networkidle")
    assert said == []


@pytest.mark.parametrize("path", PAGES[:3])
def test_nothing_jumps_while_a_page_loads(path: str, owner: Page, system: Running) -> None:
    owner.add_init_script(
        """window.shifts = 0; new PerformanceObserver(list => {
        for (const entry of list.getEntries()) window.shifts += entry.value;
        }).observe({type: "layout-shift", buffered: true});"""
    )
    owner.goto(f"{system.master}{path}")
    owner.wait_for_load_state("networkidle")
    assert owner.evaluate("window.shifts") <= 0.1


def test_everything_works_by_keyboard(visitor: Page, system: Running) -> None:
    visitor.goto(f"{system.master}/project/digits")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    visitor.keyboard.press("Tab")
    expect(visitor.get_by_role("link", name="Skip to the content")).to_be_focused()
    visitor.get_by_test_id("add-worker").focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_test_id("worker-row")).to_have_count(1)
    visitor.get_by_test_id("remove-worker").focus()
    visitor.keyboard.press("Space")
    expect(visitor.get_by_test_id("worker-row")).to_have_count(0)


def test_the_page_weighs_at_most_300_kb_up_to_the_first_gradient(browser: Browser, system: Running) -> None:
    name = project(system, "weight")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    context = browser.new_context()
    page = context.new_page()
    finished: list[Request] = []
    context.on("requestfinished", lambda request: finished.append(request))
    page.goto(f"{system.master}/project/{name}")
    page.get_by_test_id("add-worker").click()
    expect(page.get_by_test_id("stat-iteration")).to_have_text(re.compile("[1-9]"))
    sizes = {asked.url: asked.sizes()["responseBodySize"] for asked in list(finished) if "/shards/" not in asked.url}
    assert any(url.endswith(".wasm") for url in sizes), "the engine counts too"
    assert sum(sizes.values()) <= 300_000, sorted(sizes.items(), key=lambda item: -item[1])[:8]
    context.close()


def test_every_module_of_the_page_is_fetched_at_once(visitor: Page, system: Running) -> None:
    def reached(path: Path, found: set[Path]) -> set[Path]:
        found.add(path)
        for target in re.findall(r"(?m)^(?:import|export)\b[^;]*?from\s*\"(\.[^\"]+)\"", path.read_text()):
            inner = (path.parent / target).resolve()
            if inner not in found:
                reached(inner, found)
        return found

    visitor.goto(system.master)
    links = visitor.locator("link[rel=modulepreload]").evaluate_all("links => links.map(link => link.href)")
    preloaded = {STATIC / link.partition("/static/")[2] for link in links}
    assert preloaded == reached(STATIC / "js/entry/page.js", set())
