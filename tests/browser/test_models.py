"""Models in the browser: the exported page from a file, without any server; projects that begin with a model."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mlitb.exporting import FORMS
from mlitb.predict import Prediction, Predictor
from tests import models

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
