"""The test set and the statistics page: the figures of `mlitb evaluate`, a curve that outlives a restart."""

import json
import re
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from mlitb import pixels
from tests.data_server.zips import make_zip
from tests.running import Running, command, running, until

from .pages import project, quiet

HEAVY: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "conv", "filters": 192, "kernel": 3, "padding": 1},
    {"type": "conv", "filters": 192, "kernel": 3, "padding": 1},
    {"type": "fully_connected"},
    {"type": "softmax"},
]
"""A network with which 360 digits take longer than two short periods on any core."""


def evaluations(system: Running, name: str = "digits") -> list[dict[str, Any]]:
    """Return the evaluations that were kept."""
    rows: list[dict[str, Any]] = system.visitor.get(f"/api/projects/{name}/tests").json()
    return rows


def evaluated(page: Page, iteration: int) -> None:
    """Wait until the page has evaluated the network of an iteration."""
    expect(page.get_by_test_id("evaluated")).to_have_attribute("data-iteration", str(iteration), timeout=30_000)


def train(page: Page, system: Running, name: str, count: int) -> None:
    """Train with one worker of a page until there are so many evaluations, and pause."""
    page.goto(f"{system.master}/project/{name}")
    page.get_by_test_id("add-worker").click()
    until(lambda: len(evaluations(system, name)) >= count, f"{count} evaluations", 60)
    system.owner.post(f"/api/projects/{name}/pause").raise_for_status()


def save(page: Page, path: Path) -> dict[str, Any]:
    """Save the statistics page's figures."""
    with page.expect_download() as download:
        page.get_by_test_id("save-json").click()
    download.value.save_as(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_the_page_counts_what_mlitb_evaluate_counts(
    owner: Page, system: Running, archive: Path, tmp_path: Path
) -> None:
    name = project(system, "counts")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    train(owner, system, name, 4)
    owner.get_by_test_id("to-statistics").click()
    evaluated(owner, system.iteration(name))
    here = save(owner, tmp_path / "statistics.json")
    model = tmp_path / "model.json"
    model.write_bytes(system.visitor.get(f"/api/projects/{name}/model.json").content)
    done = subprocess.run(command("evaluate", "--json", str(model), str(archive)), capture_output=True, check=True)
    offline = json.loads(done.stdout)
    for key in ("iteration", "vectors", "error", "top", "confusion", "labels", "macro"):
        assert here[key] == pytest.approx(offline[key], abs=1e-12) if key == "macro" else here[key] == offline[key], key
    assert here["loss"] == pytest.approx(offline["loss"], rel=1e-6)
    assert here["confusion"] == table(owner)
    assert evaluations(system, name)[-1]["error"] == here["error"], "and so does the master"


def table(page: Page) -> list[list[int]]:
    """Read the confusion matrix off the page."""
    cells = page.get_by_test_id("confusion").locator("[data-cell]")
    counts = cells.evaluate_all("cells => cells.map(cell => Number(cell.dataset.count))")
    side = round(len(counts) ** 0.5)
    return [counts[row * side : (row + 1) * side] for row in range(side)]


def test_the_matrix_is_read_by_keys_and_the_labels_are_sorted(owner: Page, system: Running) -> None:
    owner.goto(f"{system.master}/project/digits/statistics")
    evaluated(owner, system.iteration())
    region = owner.get_by_role("region", name="Confusion matrix. ")
    region.focus()
    line = owner.get_by_test_id("confusion-cell")
    for key, place in (("ArrowDown", (0, 0)), ("ArrowDown", (1, 0)), ("ArrowRight", (1, 1)), ("ArrowRight", (1, 2))):
        owner.keyboard.press(key)
        expect(region.locator(".here")).to_have_attribute("data-cell", "{},{}".format(*place))
    expect(line).to_contain_text("of 1 w")
    owner.get_by_test_id("show-shares").check(force=True)
    expect(region.locator("[data-cell='1,1']")).to_contain_text("%")
    rows = owner.get_by_test_id("label-score")
    expect(rows).to_have_count(10)
    owner.get_by_test_id("sort-recall").click()
    expect(owner.locator("th[aria-sort=ascending]")).to_contain_text("Recall")
    shown = [float(cell.rstrip("\u202f%")) for cell in rows.locator("td:nth-child(3)").all_inner_texts()]
    assert shown == sorted(shown)
    for column, heading in (("precision", "Precision"), ("f1", "F1"), ("support", "Pictures"), ("label", "Label")):
        for order in ("ascending", "descending"):
            owner.get_by_test_id(f"sort-{column}").click()
            expect(owner.locator(f"th[aria-sort={order}]")).to_contain_text(heading)
    expect(rows.first.locator("th")).to_have_text("9")
    owner.get_by_test_id("show-pictures").check(force=True)
    expect(region.locator("[data-cell='1,1']")).not_to_contain_text("%")
    pictures = owner.get_by_test_id("worst").locator("canvas")
    expect(pictures.first).to_have_attribute("aria-label", re.compile(r"^\d, taken for \d with .*%; .*% for \d$"))


def test_a_visitor_evaluates_without_any_trainer_and_for_themselves_alone(visitor: Page, system: Running) -> None:
    name = project(system, "looked-at")
    visitor.goto(f"{system.master}/project/{name}/statistics")
    evaluated(visitor, 0)
    expect(visitor.get_by_test_id("evaluated")).to_contain_text("360 pictures")
    expect(visitor.get_by_test_id("evaluated")).to_contain_text("For you alone")
    assert evaluations(system, name) == []
    roles = [row["role"] for row in system.visitor.get(f"/api/projects/{name}/workers").json()["rows"]]
    assert roles == ["statistics"]
    visitor.get_by_test_id("to-project").click()
    expect(visitor.get_by_test_id("test-set")).to_contain_text("360 pictures")
    until(lambda: not system.visitor.get(f"/api/projects/{name}/workers").json()["rows"], "the page took it back")


def test_the_curve_and_the_best_checkpoint_outlive_a_restart(browser: Browser, tmp_path: Path) -> None:
    context = browser.new_context()
    page = quiet(context)
    with running(tmp_path / "data", "--checkpoint", "iteration") as own:
        page.goto(own.link)
        page.get_by_test_id("add-worker").click()
        expect(page.get_by_test_id("statistics-row")).to_be_visible()
        until(lambda: len(evaluations(own)) >= 4, "four evaluations", 60)
        own.owner.post("/api/projects/digits/pause").raise_for_status()
        at = own.iteration()
        until(lambda: evaluations(own)[-1]["iteration"] == at, "the last one is evaluated, too")
        before = evaluations(own)
    context.close()
    best = min(before, key=lambda row: (row["error"], row["loss"]))
    with running(tmp_path / "data") as own:
        assert evaluations(own) == before
        context = browser.new_context()
        page = quiet(context)
        page.goto(own.link)
        expect(page.get_by_test_id("chart-error").locator(".chart-line")).to_have_count(2)
        expect(page.get_by_test_id("chart-error").locator(".chart-line").nth(1)).to_contain_text("Test")
        panel = page.get_by_test_id("checkpoints")
        panel.locator("summary").click()
        row = panel.get_by_test_id("checkpoint-row").filter(has_text="best")
        expect(row).to_have_count(1)
        expect(row.locator("td").first).to_contain_text(str(best["iteration"]))
        with page.expect_download() as download:
            row.get_by_role("link", name="Download").click()
        assert Path(download.value.path()).stat().st_size > 10_000
        context.close()


def skipped(rows: list[dict[str, Any]]) -> bool:
    """Tell whether twice an evaluation followed another that was not of the iteration before."""
    return len([later for earlier, later in pairwise(rows) if later["iteration"] - earlier["iteration"] >= 2]) >= 2


def test_training_does_not_wait_for_a_slow_evaluation_which_skips_to_the_newest(owner: Page, system: Running) -> None:
    wish = {"name": "slow-statistics", "layers": HEAVY, "settings": {"period": 0.2}}
    name = system.owner.post("/api/projects", json=wish).json()["id"]
    dataset = system.project()["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{name}/data", json={"dataset": dataset}).raise_for_status()
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("add-worker").click()

    def between(tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, last = tests[0]["iteration"], tests[-1]["iteration"]
        return [
            row
            for row in system.visitor.get(f"/api/projects/{name}/history").json()
            if first <= row["iteration"] < last
        ]

    def skips_while_it_trains() -> bool:
        tests = evaluations(system, name)
        return skipped(tests) and any(row["vectors"] > 0 for row in between(tests))

    until(skips_while_it_trains, "two evaluations that skip, and training between them", 60)
    system.owner.post(f"/api/projects/{name}/pause").raise_for_status()
    tests = evaluations(system, name)
    rows = system.visitor.get(f"/api/projects/{name}/history").json()
    for before, earlier, later in zip(tests, tests[1:], tests[2:], strict=False):
        half = (before["time"] + earlier["time"]) / 2  # the rest is for what is under way between a tab and the master
        known = [row["iteration"] for row in rows if row["time"] <= half]
        assert later["iteration"] > max(known), f"{later} is not the newest when {earlier} had come"
    first, last = tests[0]["iteration"], tests[-1]["iteration"]
    assert [row["iteration"] for row in between(tests)] == list(range(first, last)), "none was left out"


def picture(number: int) -> bytes:
    """Draw a picture of eight by eight grey pixels."""
    return pixels.encode_png(np.full((8, 8, 1), 20 * number, np.uint8))


def test_the_owner_gives_a_project_a_test_set_of_its_own(owner: Page, system: Running) -> None:
    name = project(system, "own-test-set")
    owner.goto(f"{system.master}/project/{name}")
    expect(owner.get_by_test_id("test-count")).to_have_text("360 pictures, 10 labels")
    archive = make_zip({f"{label}/{number}.png": picture(number) for label in ("3", "cat") for number in range(4)})
    owner.get_by_test_id("change-test-set").click()
    owner.get_by_test_id("test-file").set_input_files(
        {"name": "own.zip", "mimeType": "application/zip", "buffer": archive}
    )
    expect(owner.get_by_test_id("test-count")).to_have_text("4 pictures, 1 label")
    expect(owner.get_by_test_id("test-set")).to_contain_text(
        "4 pictures are left out: the network does not know the label cat"
    )
    expect(owner.get_by_test_id("test-part")).to_contain_text("An upload of its own")
    owner.get_by_test_id("test-choice").select_option("none")
    expect(owner.get_by_test_id("test-part")).to_contain_text("There is none")
    owner.goto(f"{system.master}/project/{name}/statistics")
    expect(owner.get_by_test_id("no-test-set")).to_be_visible()
