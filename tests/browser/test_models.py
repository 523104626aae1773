"""Models in the browser: the exported page from a file, without any server; projects that begin with a model."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mlitb.exporting import FORMS
from mlitb.predict import Prediction, Predictor
from tests import models, prototype_2015
from tests.running import Running

from .pages import findings, project

SEVERAL = 12
"""Pictures that are classified."""


# ----------------------------------------------------------------------------------------- the page without a server
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the digits' model, its page, and some pictures, one of which is none."""
    place = tmp_path_factory.mktemp("standalone")
    models.write(place / "model.json", models.trained())
    (place / "page.html").write_bytes(FORMS["html"].write(models.trained()))
    pixels, _ = models.digits()
    for n in range(SEVERAL):
        (place / f"{n:02}.png").write_bytes(models.png(pixels[-n - 1, :, :, 0]))
    colourful = np.random.default_rng(1).integers(0, 256, (40, 60, 3))
    (place / "large.png").write_bytes(models.png(colourful))
    (place / "none.png").write_bytes(b"no picture")
    return place


@pytest.fixture
def offline(browser: Browser, folder: Path) -> Iterator[Page]:
    """Open the page from its file, without a network."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((folder / "page.html").as_uri())
    expect(page.locator("html[data-ready=true]")).to_be_attached()
    yield page
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert errors == []
    context.close()


def test_the_page_says_what_predict_says(offline: Page, folder: Path) -> None:
    names = [f"{n:02}.png" for n in range(SEVERAL)]
    offline.locator("#choose").set_input_files([folder / name for name in [*names, "large.png"]])
    expect(offline.locator("article")).to_have_count(SEVERAL + 1)
    found = {}
    for card in offline.locator("article").all():
        told = card.locator("ol").get_attribute("data-probabilities")
        assert told is not None
        found[card.locator("h2").inner_text()] = (json.loads(told), card.locator("li .label").first.inner_text())
    predictor = Predictor.open(folder / "model.json")
    for name, prediction in zip(names, predictor.classify([folder / name for name in names]), strict=True):
        assert isinstance(prediction, Prediction)
        probabilities, label = found[name]
        assert np.array_equal(np.float32(probabilities), prediction.probabilities), "the same engine, the same pixels"
        assert label == models.LABELS[prediction.order[0]]
    (large,) = predictor.classify([folder / "large.png"])
    assert isinstance(large, Prediction)
    np.testing.assert_allclose(found["large.png"][0], large.probabilities, atol=0.02)  # resized to within 1/255


def test_what_is_no_picture_gets_a_sentence(offline: Page, folder: Path) -> None:
    offline.locator("#choose").set_input_files([folder / "none.png", folder / "00.png"])
    expect(offline.locator("article")).to_have_count(2)
    expect(offline.locator("article p.bad")).to_have_text("This is not a picture that your browser can read.")


# ------------------------------------------------------------------------------------------------- in the pages
def begin_with(owner: Page, name: str, text: str) -> None:
    """Open the new project's dialog and choose a model file."""
    owner.get_by_test_id("new-project").click()
    owner.get_by_text("A model file", exact=True).click()
    owner.get_by_test_id("model-file").set_input_files(
        {"name": name, "mimeType": "application/json", "buffer": text.encode()}
    )


def made(owner: Page, system: Running) -> dict[str, Any]:
    """Wait for the new project's page; return the project."""
    owner.wait_for_url("**/project/*")
    return system.project(owner.url.rpartition("/")[2])


@pytest.mark.usefixtures("at_projects")
def test_a_project_goes_on_with_a_model_file(owner: Page, axe: str, system: Running) -> None:
    begin_with(owner, "model.json", models.text_of(models.trained()))
    expect(owner.get_by_test_id("model-found")).to_contain_text("10 labels (0, 1, 2, 3, 4, 5, …), iteration 75")
    assert findings(owner, axe) == []
    owner.get_by_test_id("model-name").fill("From a file")
    owner.get_by_test_id("create-from-model").click()
    view = made(owner, system)
    assert (view["name"], view["iteration"], view["labels"]) == ("From a file", 75, list(models.LABELS))
    expect(owner.get_by_test_id("download-model")).to_be_visible()


@pytest.mark.usefixtures("at_projects")
def test_a_file_of_2015_is_taught_other_labels(owner: Page, system: Running) -> None:
    confs = [
        {"type": "input", "sx": 8, "sy": 8, "depth": 1},
        {"type": "conv", "sx": 3, "filters": 4},
        {"type": "fc", "num_neurons": 2, "activation": "softmax"},
    ]
    begin_with(owner, "old.json", json.dumps({"step": 9, "net": prototype_2015.file_of(confs, ["cat", "dog"])}))
    expect(owner.get_by_test_id("model-found")).to_contain_text("2 labels (cat, dog), iteration 9")
    owner.get_by_text("Teach other labels").click()
    owner.get_by_test_id("how-continue").check(force=True)
    expect(owner.get_by_test_id("freeze-conv1")).to_have_count(0)
    owner.get_by_test_id("how-transfer").check(force=True)
    owner.get_by_test_id("freeze-conv1").check()
    owner.get_by_test_id("model-name").fill("Taught")
    owner.get_by_test_id("create-from-model").click()
    view = made(owner, system)
    assert (view["labels"], view["iteration"]) == ([], 0)
    assert view["layers"][1]["frozen"] is True


@pytest.mark.usefixtures("at_projects")
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "The file is not JSON"),
        (
            json.dumps(
                {"configs": [{"type": "input", "sx": 8, "sy": 8, "depth": 1}, {"type": "maxout"}], "params": []}
            ),
            "axout1: a layer of type 'maxout' cannot be represented",
        ),
    ],
    ids=["not JSON", "maxout"],
)
def test_what_the_server_says_of_a_bad_file_is_shown(owner: Page, text: str, sentence: str) -> None:
    begin_with(owner, "bad.json", text)
    expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text(sentence)
    expect(owner.get_by_test_id("create-from-model")).to_be_disabled()


@pytest.mark.usefixtures("at_projects")
def test_a_file_that_is_too_long_is_not_even_sent(owner: Page, tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(2 << 30)
    sent: list[str] = []
    owner.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    owner.get_by_test_id("new-project").click()
    owner.get_by_text("A model file", exact=True).click()
    owner.get_by_test_id("model-file").set_input_files(path)
    expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text("large.json has 2.1 GB; the largest model")
    assert sent == []


def test_a_model_is_taken_in_every_form(owner: Page, axe: str, system: Running) -> None:
    name = project(system, "Taken")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("model-forms").click()
    for form, begins in (("optimizer", b'{\n "format"'), ("card", b"# Taken"), ("html", b"<!doctype html>")):
        with owner.expect_download() as download:
            owner.get_by_test_id(f"form-{form}").click()
        assert Path(download.value.path()).read_bytes().startswith(begins)
    listed = {row["form"] for row in system.visitor.get("/api/export").json()}
    for form in listed:
        expect(owner.get_by_test_id(f"form-{form}")).to_be_visible()
    assert findings(owner, axe) == []


def test_the_owner_says_what_a_model_is(owner: Page, system: Running) -> None:
    name = project(system, "Described")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("model-forms").click()
    owner.get_by_test_id("about-description").fill("Tells digits apart")
    owner.get_by_test_id("about-author").fill("A. N. Other")
    owner.get_by_test_id("about-licence").fill("CC0")
    owner.get_by_test_id("about-save").click()
    expect(owner.get_by_text("Saved.", exact=True)).to_be_visible()
    assert system.project(name)["about"] == {
        "description": "Tells digits apart",
        "author": "A. N. Other",
        "licence": "CC0",
    }
    owner.reload()
    owner.get_by_test_id("model-forms").click()
    expect(owner.get_by_test_id("about-author")).to_have_value("A. N. Other")
    expect(owner.get_by_test_id("about-description")).to_have_value("Tells digits apart")


def test_a_new_project_starts_from_a_projects_model(owner: Page, system: Running) -> None:
    name = project(system, "Source")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("model-forms").click()
    owner.get_by_test_id("freeze-conv1").check()
    owner.get_by_test_id("transfer-name").fill("Other labels")
    owner.get_by_test_id("transfer").click()
    owner.wait_for_url("**/project/other-labels*")
    view = made(owner, system)
    assert (view["labels"], view["layers"][1]["frozen"]) == ([], True)


def test_a_visitor_may_take_a_model_and_nothing_else(visitor: Page, system: Running) -> None:
    visitor.goto(f"{system.master}/project/digits")
    visitor.get_by_test_id("model-forms").click()
    expect(visitor.get_by_test_id("form-html")).to_be_visible()
    expect(visitor.get_by_test_id("transfer")).to_have_count(0)
    expect(visitor.get_by_test_id("about-save")).to_have_count(0)


@pytest.mark.usefixtures("at_projects")
def test_the_dialogs_fit_a_phone(owner: Page, system: Running) -> None:
    def overflow() -> int:
        sheet = owner.locator("dialog[open] .sheet-scroll")
        return int(sheet.evaluate("sheet => sheet.scrollWidth - sheet.clientWidth"))

    owner.set_viewport_size({"width": 360, "height": 740})
    owner.get_by_test_id("new-project").click()
    expect(owner.get_by_test_id("layer-row").first).to_be_visible()
    assert overflow() == 0
    owner.keyboard.press("Escape")
    begin_with(owner, "model.json", models.text_of(models.trained()))
    expect(owner.get_by_test_id("model-found")).to_be_visible()
    assert overflow() == 0
    owner.goto(f"{system.master}/project/digits")
    owner.get_by_test_id("model-forms").click()
    expect(owner.get_by_test_id("form-html")).to_be_visible()
    assert overflow() == 0
