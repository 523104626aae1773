"""The pages about data sets: what they show, what the owner does there, what a visitor does not see."""

import io
import re
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.data_server.zips import make_zip
from tests.data_server.zips import picture as a_png
from tests.running import Running, until

from .pages import DIGITS_LAYERS, THEMES, Theme, findings, fits, opened, sign_in

COLOURS = {"cat": 40, "dog": 120, "puppy": 200}
EACH = 8


@pytest.fixture(params=[1440, 360], ids=["desktop", "phone"])
def owner(warm: BrowserContext, system: Running, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Open a page as the owner, in a wide and in a narrow window."""
    with opened(warm, request.param, 900) as page:
        sign_in(page, system)
        yield page


def pets(seed: object) -> bytes:
    """Return a zip of coloured pictures in three labels, two of which belong together; every seed gives another."""
    rng = np.random.default_rng(list(str(seed).encode()))
    files: dict[str, bytes] = {"cat/read me.txt": b"meow", "dog/cut.png": b"\x89PNG\r\n\x1a\n"}
    for label, value in COLOURS.items():
        for number in range(EACH):
            png = io.BytesIO()
            Image.fromarray(rng.integers(value, value + 30, (8, 8, 3), dtype=np.uint8)).save(png, "PNG")
            files[f"{label}/{number}.png"] = png.getvalue()
    return make_zip(files)


def made(system: Running, request: pytest.FixtureRequest) -> dict[str, Any]:
    """Upload a data set of a test's own."""
    answer = system.upload(pets(request.node.name), name=request.node.name, channels="3")
    answer.raise_for_status()
    report: dict[str, Any] = answer.json()
    return report


def report_of(system: Running, dataset: str) -> dict[str, Any]:
    """Ask the data server about a data set."""
    found: dict[str, Any] = system.visitor.get(f"{system.data_server}/datasets/{dataset}").json()
    return found


def use(system: Running, dataset: str, name: str) -> str:
    """Let a project of this name use a data set."""
    layers = [{**DIGITS_LAYERS[0], "channels": 3}, *DIGITS_LAYERS[1:]]
    project = system.owner.post("/api/projects", json={"name": name, "layers": layers}).json()["id"]
    system.owner.post(f"/api/projects/{project}/data", json={"dataset": dataset}).raise_for_status()
    return str(project)


def test_all_data_sets_and_one_of_them(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    project = use(system, report["id"], f"user of {report['id']}")
    owner.goto(system.master)
    owner.get_by_test_id("to-data").click()
    card = owner.locator(f"[data-dataset={report['id']}]")
    expect(card).to_contain_text(re.compile(rf"24.*3.*KB.*1.*Used by user of {report['id']}\.", re.S))
    expect(card.get_by_role("img", name="Some pictures of cat")).to_be_visible()
    card.get_by_role("link").click()
    owner.wait_for_url(f"**/data/{report['id']}")
    expect(owner.get_by_test_id("data-title")).to_have_text(request.node.name)
    expect(owner.get_by_text(re.compile(r"24 pictures in 3 labels, .* Version 1. Uploaded"))).to_be_visible()
    rows = owner.get_by_test_id("label-row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("8")
    for strip in rows.get_by_role("img").all():
        strip.scroll_into_view_if_needed()
        until(lambda: strip.evaluate("image => image.naturalWidth") == 64, "the strip is there")  # noqa: B023
    manifest = system.visitor.get(f"{system.data_server}/cuts/{report['cuts'][0]['id']}/manifest.json").json()
    row = owner.get_by_test_id("cut-row")
    expect(row).to_contain_text("8 × 8 colour")
    for numbers in (manifest["mean"], manifest["std"]):
        expect(row).to_contain_text(" ".join(f"{number:.3f}" for number in numbers))
    left = owner.get_by_test_id("left-out")
    expect(left).to_contain_text("2 files were left out")
    left.get_by_text("The files").click()
    expect(left).to_contain_text("cat/read me.txt not named like a picture")
    expect(owner.get_by_test_id("delete-data")).to_be_disabled()
    expect(owner.get_by_test_id("delete-data")).to_have_accessible_description(
        f"user of {report['id']} uses it: a data set can be deleted when no project uses it."
    )
    owner.get_by_test_id("uses").get_by_role("link").click()
    owner.wait_for_url(f"**/project/{project}")
    owner.get_by_role("link", name=request.node.name).click()
    owner.wait_for_url(f"**/data/{report['id']}")


def test_labels_are_renamed_and_merged(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    owner.goto(f"{system.master}/data/{report['id']}")
    owner.get_by_label("Name of the label puppy").fill("  dog ")
    owner.get_by_label("Name of the label cat").fill("kitten")
    changes = owner.get_by_test_id("label-changes")
    expect(changes).to_contain_text("cat becomes kitten.")
    expect(changes).to_contain_text("dog and puppy become one label, dog.")
    owner.get_by_test_id("undo-labels").click()
    expect(changes).to_have_count(0)
    expect(owner.get_by_label("Name of the label puppy")).to_have_value("puppy")
    owner.get_by_label("Name of the label puppy").fill(" ")
    owner.get_by_test_id("save-labels").click()
    expect(owner.get_by_role("alert")).to_contain_text("Every label needs a name.")
    owner.get_by_label("Name of the label puppy").fill("a/b")
    owner.get_by_test_id("save-labels").click()
    expect(owner.get_by_role("alert")).to_contain_text("'a/b' cannot be a label")
    owner.get_by_label("Name of the label puppy").fill("dog")
    owner.get_by_label("Name of the label cat").fill("kitten")
    expect(owner.get_by_test_id("save-labels")).to_have_text("Save as version 2")
    owner.get_by_label("Name of the label cat").press("Enter")
    expect(owner.get_by_text("This is version 2 now.")).to_be_visible()
    expect(owner.get_by_test_id("label-row")).to_have_count(2)
    labels = report_of(system, report["id"])["labels"]
    assert [(label["name"], label["train"]) for label in labels] == [("kitten", EACH), ("dog", 2 * EACH)]


def test_it_is_renamed(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    owner.goto(f"{system.master}/data/{report['id']}")
    owner.get_by_test_id("rename-data").click()
    name = owner.get_by_test_id("data-name")
    name.fill(" ")
    owner.get_by_test_id("save-name").click()
    expect(name).to_have_accessible_description("Give the data set a name.")
    name.fill("Pets of the neighbourhood")
    name.press("Enter")
    expect(owner.get_by_test_id("data-title")).to_have_text("Pets of the neighbourhood")
    assert report_of(system, report["id"])["name"] == "Pets of the neighbourhood"


def test_it_is_cut_again(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    owner.goto(f"{system.master}/data/{report['id']}")
    owner.get_by_text("Cut again").click()
    cut = owner.get_by_test_id("cut-again")
    owner.get_by_label("Width").fill("513")
    cut.click()
    expect(owner.get_by_role("alert")).to_have_text("Width and height are whole numbers from 1 to 512.")
    owner.get_by_label("Width").fill("6")
    owner.get_by_label("Height").fill("4")
    owner.get_by_label("Colour").select_option("1")
    owner.get_by_test_id("cut-mode").select_option("fit")
    owner.get_by_test_id("cut-validation").select_option("0.3")
    owner.get_by_test_id("cut-duplicates").select_option("drop")
    cut.click()
    expect(owner.get_by_text("There is a cut of 6 × 4 grey pixels now.")).to_be_visible()
    expect(owner.get_by_test_id("cut-row").nth(1)).to_contain_text(re.compile(r"6\s×\s4 grey.*with a border.*18.*6"))
    cut.click()
    expect(owner.get_by_text("It has this cut already.")).to_be_visible()
    wanted = {"width": 6, "height": 4, "channels": 1, "mode": "fit", "validation": 0.3, "duplicates": "drop"}
    assert wanted.items() <= report_of(system, report["id"])["cuts"][1].items()


def test_it_is_downloaded(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    owner.goto(f"{system.master}/data/{report['id']}")
    with owner.expect_download() as download:
        owner.get_by_test_id("download-data").click()
    with zipfile.ZipFile(Path(download.value.path())) as found:
        assert len(found.namelist()) == 3 * EACH + 1, "the damaged picture's bytes are the owner's, too"


def test_it_is_deleted_but_not_while_it_is_used(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    owner.goto(f"{system.master}/data/{report['id']}")
    owner.get_by_test_id("delete-data").click()
    dialog = owner.get_by_role("dialog")
    expect(dialog).to_contain_text(
        re.compile(r"24 pictures in 3 labels \(.*\) and 1 cut will be lost, in all versions")
    )
    project = use(system, report["id"], f"late user of {report['id']}")
    owner.get_by_test_id("confirm").click()
    expect(dialog.get_by_role("alert")).to_contain_text(f"used by {project}: detach it there first")
    owner.keyboard.press("Escape")
    expect(owner.get_by_test_id("delete-data")).to_be_disabled()
    system.owner.delete(f"/api/projects/{project}").raise_for_status()
    owner.reload()
    owner.get_by_test_id("delete-data").click()
    owner.get_by_test_id("confirm").click()
    owner.wait_for_url(f"{system.master}/data")
    expect(owner.locator(f"[data-dataset={report['id']}]")).to_have_count(0)
    assert "there is no data set" in report_of(system, report["id"])["detail"]


def test_a_zip_is_uploaded_without_a_project(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    owner.goto(f"{system.master}/data")
    file = {"name": f"{request.node.name}.zip", "mimeType": "application/zip", "buffer": pets(request.node.name)}
    owner.get_by_label("Width").fill("0")
    owner.get_by_test_id("upload-file").set_input_files(file)  # type: ignore[arg-type]
    expect(owner.get_by_role("alert")).to_have_text("Width and height are whole numbers from 1 to 512.")
    owner.get_by_label("Width").fill("12")
    owner.get_by_label("Height").fill("10")
    owner.get_by_test_id("cut-mode").select_option("stretch")
    owner.get_by_test_id("upload-file").set_input_files(file)  # type: ignore[arg-type]
    expect(owner.get_by_test_id("upload-report")).to_contain_text("24 pictures in 3 labels")
    owner.get_by_role("link", name=f"Open {request.node.name}.zip").click()
    expect(owner.get_by_test_id("cut-row")).to_contain_text(re.compile(r"12\s×\s10 colour.*stretched"))


def test_who_waits_is_told_how_many_are_read_first(
    owner: Page, system: Running, request: pytest.FixtureRequest
) -> None:
    owner.goto(f"{system.master}/data")

    def behind_two(route: Route) -> None:
        answer = route.fetch()
        told = answer.json()
        route.fulfill(response=answer, json={**told, "state": "reading", "ahead": 2})

    # The data server's own tests have a real line; this one is about what the page makes of its answer.
    owner.route(
        f"{system.data_server}/uploads/*",
        lambda route: route.continue_() if route.request.method != "GET" else behind_two(route),
    )
    file = {"name": "pets.zip", "mimeType": "application/zip", "buffer": pets(request.node.name)}
    owner.get_by_test_id("upload-file").set_input_files(file)  # type: ignore[arg-type]
    expect(owner.get_by_text("pets.zip is on the server. 2 uploads are read before it")).to_be_visible()
    owner.unroute_all(behavior="wait")
    expect(owner.get_by_test_id("upload-report")).to_contain_text("24 pictures")


def test_a_cut_that_waits_says_for_how_many(owner: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    held: list[Route] = []
    owner.route(re.compile(r"/cuts\?"), lambda route: held.append(route))  # Playwright marks the function
    owner.route("**/line", lambda route: route.fulfill(json={"ahead": 2}))
    owner.goto(f"{system.master}/data/{report['id']}")
    owner.get_by_text("Cut again").click()
    owner.get_by_label("Width").fill("6")
    owner.get_by_test_id("cut-again").click()
    expect(owner.get_by_text("2 uploads or cuts are done before it")).to_be_visible()
    owner.unroute("**/line")
    expect(owner.get_by_text("Cutting: every picture")).to_be_visible()
    held[0].continue_()
    expect(owner.get_by_text("There is a cut of")).to_be_visible()


def test_a_visitor_looks_and_changes_nothing(visitor: Page, system: Running, request: pytest.FixtureRequest) -> None:
    report = made(system, request)
    visitor.goto(f"{system.master}/data")
    expect(visitor.locator(f"[data-dataset={report['id']}]")).to_be_visible()
    expect(visitor.get_by_test_id("upload-file")).to_have_count(0)
    visitor.goto(f"{system.master}/data/{report['id']}")
    expect(visitor.get_by_test_id("label-row").first).to_contain_text("cat")
    expect(visitor.get_by_test_id("download-data")).to_be_visible()
    for control in ("rename-data", "delete-data", "label-name", "save-labels", "cut-again"):
        expect(visitor.get_by_test_id(control)).to_have_count(0)


def test_the_labels_fit_beside_their_counts_on_a_phone(owner: Page, system: Running) -> None:
    """With all three sets; names are long as people give them."""
    words = ("Handwritten zeros", "Acer pseudoplatanus", "3")
    files = {
        f"{part}/{word}/{n}.png": a_png(seed)
        for seed, (part, word, n) in enumerate(product(("train", "test"), words, range(9)))
    }
    report = system.upload(make_zip(files), name="long names", validation="0.3").json()
    owner.set_viewport_size({"width": 390, "height": 844})
    owner.goto(f"{system.master}/data/{report['id']}")
    expect(owner.get_by_role("columnheader", name="Validation")).to_be_visible()
    table = owner.locator(".label-table").locator("..")
    assert table.evaluate("box => box.scrollWidth - box.clientWidth") == 0
    assert float(owner.get_by_test_id("label-name").first.evaluate("field => field.clientWidth")) > 80


def test_a_data_set_that_is_not_there(visitor: Page, system: Running) -> None:
    visitor.goto(f"{system.master}/data/d999")
    expect(visitor.get_by_role("alert")).to_contain_text("There is no data set 'd999'.")


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_in_what_is_opened(
    theme: Theme, warm: BrowserContext, axe: str, system: Running, request: pytest.FixtureRequest
) -> None:
    """The pages as they are when they are opened have their turn with all others, in test_controls.py."""
    report = made(system, request)
    with opened(warm, 360, 900, color_scheme=theme, reduced_motion="reduce") as page:
        sign_in(page, system)
        page.goto(f"{system.master}/data/{report['id']}")
        page.get_by_label("Name of the label cat").fill("dog")
        page.get_by_text("Cut again").click()
        page.get_by_text("The files").click()
        assert findings(page, axe) == []
        assert fits(page)
        for dialog in ("rename-data", "delete-data"):
            page.get_by_test_id(dialog).click()
            assert findings(page, axe) == [], dialog
            page.keyboard.press("Escape")
