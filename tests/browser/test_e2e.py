"""End to end, as people do it: `mlitb up --demo` as a child process, real Chromium, clicks, a downloaded model."""

import json
import re
import subprocess
import time
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import BrowserType, Page, expect

from mlitb.datasets import digits_zip
from tests.browser.chromium import launch, processes, resume, suspend
from tests.running import Running, command, running, until

SMOKE = [
    pytest.param("http://localhost:{port}", (), (), id="localhost"),
    pytest.param(
        "http://lan.test:{port}",
        ("--lan", "--allow-host", "lan.test"),
        ("--host-resolver-rules=MAP lan.test 127.0.0.1",),
        id="plain-HTTP-LAN-name",
    ),
    pytest.param("http://127.0.0.2:{port}", ("--lan",), (), id="another-address"),
]


def open_project(page: Page, system: Running, base: str = "", query: str = "") -> None:
    """Open the digits project and wait until its page is live."""
    page.goto(f"{base or system.master}/project/digits{query}")
    expect(page.get_by_test_id("add-worker")).to_be_enabled()


def add_workers(page: Page, count: int) -> None:
    """Click Add worker so many times, each time until the row is there."""
    rows = page.get_by_test_id("worker-row")
    before = rows.count()
    for number in range(1, count + 1):
        page.get_by_test_id("add-worker").click()
        expect(rows).to_have_count(before + number)


def reach(system: Running, iteration: int, timeout_s: float = 60) -> None:
    """Wait until the digits project has reached an iteration."""
    until(lambda: system.iteration() >= iteration, f"iteration {iteration}", timeout_s)


@pytest.mark.parametrize(("base", "options", "flags"), SMOKE)
def test_training_works_whatever_the_host_is_called(
    base: str, options: tuple[str, ...], flags: tuple[str, ...], tmp_path: Path, chromium: BrowserType
) -> None:
    with running(tmp_path / "data", *options) as system, launch(chromium, *flags) as browser:
        page = browser.new_page()
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        open_project(page, system, base.format(port=system.port))
        add_workers(page, 1)
        reach(system, 5)
        page.wait_for_function(
            "Number(document.querySelector('[data-testid=stat-iteration]').textContent.replace(/\\D/g, '')) >= 3"
        )
        # browsers trust all of 127.0.0.0/8, but no other name that is reached by plain HTTP
        assert page.evaluate("isSecureContext") is ("lan.test" not in base)
        assert problems == []


def test_two_workers_learn_digits_and_the_downloaded_model_reads_one(tmp_path: Path, chromium: BrowserType) -> None:
    archive = tmp_path / "digits.zip"
    digits_zip(archive)
    with running(tmp_path / "data") as system, launch(chromium) as browser:
        page = browser.new_page()
        page.goto(system.link)
        expect(page.get_by_test_id("add-worker")).to_be_enabled()
        assert "token" not in page.url
        add_workers(page, 2)
        reach(system, 30, 90)
        with page.expect_download() as download:
            page.get_by_test_id("download-model").click()
        model = tmp_path / "model.json"
        download.value.save_as(model)
    document = json.loads(model.read_text())
    assert 30 <= document["iteration"] <= 60
    assert document["labels"] == [str(digit) for digit in range(10)]
    assert document["normalisation"]["mean"]
    assert document["hyper_parameters"]["period"] == 1.0
    done = subprocess.run(command("evaluate", str(model), str(archive)), capture_output=True, text=True, check=True)
    error = float(done.stdout.split("error ")[1].split("%")[0])
    assert error <= 8.0, done.stdout
    assert "pictures 360" in done.stdout, "the held-back digits, not the training ones"
    assert 100 * (1 - predicted_share(model, archive, tmp_path)) == pytest.approx(error, abs=0.01)


def predicted_share(model: Path, archive: Path, folder: Path) -> float:
    """Predict every held-back picture from the command line; return the share whose label comes first."""
    with zipfile.ZipFile(archive) as file:
        names = [name for name in file.namelist() if name.startswith("test/")]
        file.extractall(folder, names)
    done = subprocess.run(
        command("predict", "--top", "1", str(model), *(str(folder / name) for name in names)),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = done.stdout.split("\n")[1::2]
    right = [name.split("/")[1] == line.split()[1] for name, line in zip(names, said, strict=True)]
    return sum(right) / len(right)


def test_a_closed_tab_does_not_stop_the_others(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data") as system, launch(chromium) as browser:
        first, second = browser.new_page(), browser.new_page()
        for page in (first, second):
            open_project(page, system)
            add_workers(page, 1)
        until(lambda: system.project()["status"]["trainers"] == 2, "both workers train")
        start = system.iteration()
        second.close()
        assert_on_time(system, start, 5)
        until(lambda: system.project()["status"]["trainers"] == 1, "the closed tab is gone")


def test_a_suspended_browser_does_not_stop_the_others_and_rejoins(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data") as system, launch(chromium) as awake, launch(chromium) as asleep:
        for browser in (awake, asleep):
            page = browser.new_page()
            open_project(page, system)
            add_workers(page, 1)
        watcher = asleep.new_page()
        open_project(watcher, system)
        expect(watcher.get_by_test_id("connection")).to_have_attribute("data-state", "open")
        until(lambda: system.project()["status"]["trainers"] == 2, "both workers train")
        renderers = processes(asleep, "renderer")
        assert renderers
        began = time.monotonic()
        suspend(renderers)
        try:
            assert_on_time(system, system.iteration(), 8)
            slept = time.monotonic() - began
        finally:
            resume(renderers)
        expect(watcher.get_by_text(re.compile(r"^This tab slept for \d+\ss\.$"))).to_be_visible()
        told = page.get_by_text(re.compile(r"^This tab slept for \d+\ss\. Your workers go on now\.$"))
        expect(told).to_be_visible()
        said = int(re.sub(r"\D", "", told.inner_text()))
        assert slept - 2 <= said <= time.monotonic() - began
        page.get_by_role("button", name="Dismiss").click()
        expect(told).to_be_hidden()
        row = page.get_by_test_id("worker-row").first
        expect(row.get_by_test_id("worker-state")).to_have_attribute(
            "data-state", re.compile("working|saturated"), timeout=20_000
        )


def assert_on_time(system: Running, start: int, count: int) -> None:
    """Assert that `count` iterations after `start` come at the pace of T plus at most a grace each."""
    period = system.project()["settings"]["period"]
    begun = time.monotonic()
    reach(system, start + count, 60)
    took = time.monotonic() - begun
    assert took <= count * period * 1.1 + 2.0, f"{count} iterations of {period} s took {took:.1f} s"


def test_start_pause_and_remove_by_clicks(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data") as system, launch(chromium) as browser:
        page = browser.new_page()
        page.goto(system.link)
        expect(page.get_by_test_id("add-worker")).to_be_enabled()
        add_workers(page, 1)
        reach(system, 2)
        page.get_by_test_id("pause").click()
        until(lambda: system.project()["status"]["state"] == "paused", "the project is paused")
        at = system.iteration()
        page.get_by_test_id("start").click()
        reach(system, at + 2)
        page.get_by_test_id("pause-worker").first.click()
        until(lambda: system.project()["status"]["trainers"] == 0, "the worker pauses")
        page.get_by_test_id("resume-worker").first.click()
        until(lambda: system.project()["status"]["trainers"] == 1, "the worker works again")
        page.get_by_test_id("remove-worker").first.click()
        expect(page.get_by_test_id("worker-row")).to_have_count(0)
        until(lambda: system.project()["status"]["trainers"] == 0, "the worker is gone")
