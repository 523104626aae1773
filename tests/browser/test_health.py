"""The health of a running tab, against the real system: frozen and back, the server gone and back."""

import re
import time
from pathlib import Path

from playwright.sync_api import BrowserContext, BrowserType, Page, expect

from tests.running import Running, free_port, running, until
from tests.slow_link import SlowLink

from .chromium import launch
from .pages import project

TOUCHES = """window.touches = 0;
const post = Worker.prototype.postMessage;
Worker.prototype.postMessage = function (message, ...more) {
  if (message?.type === "touched") window.touches += 1;
  return post.call(this, message, ...more);
};"""
"""Counts what a page tells its boss of its person."""

COMPUTES = re.compile("working|saturated")


def training(browser: BrowserContext, system: Running) -> Page:
    """Open the digits project, add a worker, wait until it has answered."""
    page = browser.new_page()
    page.goto(f"{system.master}/project/digits")
    page.get_by_test_id("add-worker").click()
    expect(page.get_by_test_id("worker-row")).to_have_count(1)
    until(lambda: system.project()["status"]["vectors"] > 0, "the first iteration with vectors")
    return page


def after(system: Running, moment: float, vectors: int) -> float:
    """Return when the first iteration of so many vectors closed after a moment; 0: none has."""
    history = system.visitor.get("/api/projects/digits/history").json()
    return next((row["time"] for row in history if row["time"] > moment and row["vectors"] == vectors), 0.0)


def test_a_frozen_tab_trains_again_soon_after_it_wakes(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data") as system, launch(chromium) as awake, launch(chromium) as asleep:
        training(awake, system)
        page = training(asleep, system)
        every = system.project()["status"]["data_vectors"]
        until(lambda: system.project()["status"]["vectors"] == every, "both workers train")
        tab = asleep.new_cdp_session(page)
        tab.send("Page.setWebLifecycleState", {"state": "frozen"})
        until(lambda: system.project()["status"]["vectors"] < every, "the frozen tab computes nothing")
        start, begun = system.iteration(), time.monotonic()
        until(lambda: system.iteration() >= start + 5, "rounds go on without it")
        assert time.monotonic() - begun <= 5 * 1.1 + 2
        woken = time.time()
        tab.send("Page.setWebLifecycleState", {"state": "active"})
        until(lambda: after(system, woken, every), "the woken tab trains with the other")
        # by the server's times of the history: the close of the first iteration whose vectors are all again
        took, period = after(system, woken, every) - woken, system.project()["settings"]["period"]
        assert took <= period + 2, f"{took:.2f} s"
        row = page.get_by_test_id("worker-row").first
        expect(row.get_by_test_id("worker-state")).to_have_attribute("data-state", COMPUTES, timeout=5000)


def test_tabs_come_back_by_themselves_when_the_server_does(tmp_path: Path, chromium: BrowserType) -> None:
    ports = free_port(), free_port()
    with launch(chromium) as browser:
        with running(tmp_path / "data", ports=ports) as system:
            page = training(browser, system)
            system.stop()
        with running(tmp_path / "data", ports=ports) as system:
            at = system.iteration()
            until(lambda: system.iteration() >= at + 3, "it trains again, and nobody clicked", 30)
            expect(page.get_by_test_id("worker-row")).to_have_count(1)


def test_800_ms_more_shrink_a_browsers_budget_while_the_period_holds(tmp_path: Path, chromium: BrowserType) -> None:
    settings = {"period": 1.5, "grace": 0.2, "local_steps": True, "optimizer": "sgd"}
    ports = free_port(), free_port()
    with SlowLink(ports[0]) as link, launch(chromium) as browser:
        address = f"http://127.0.0.1:{link.port}"
        with running(tmp_path / "data", "--public-url", address, ports=ports) as system:
            system.owner.patch("/api/projects/digits", json=settings).raise_for_status()
            page = browser.new_page()
            page.goto(f"{address}/project/digits")
            page.get_by_test_id("add-worker").click()
            shrinks_and_grows(system, link)


def shrinks_and_grows(system: Running, link: SlowLink) -> None:
    """Delay what the only worker of the digits says, and look at its budget and at the periods."""

    def budget() -> float:
        return float(system.visitor.get("/api/projects/digits/workers").json()["rows"][0]["budget_ms"])

    until(lambda: system.iteration() > 1 and budget() > 1300, "it computes for most of the period")
    before, link.delay_s = system.iteration(), 0.8
    until(lambda: 0 < budget() < 900, "its budget leaves room for the delay")
    shrunk = system.iteration()
    until(lambda: system.iteration() > shrunk + 2, "it goes on so")
    link.delay_s = 0.0
    until(lambda: budget() > 900, "it wins the budget back")
    rows = [row for row in system.visitor.get("/api/projects/digits/history").json() if row["iteration"] >= before]
    assert max(row["seconds"] for row in rows) < 1.7 + 0.2, "T and the grace, whatever the link does"
    assert all(row["vectors"] > 0 for row in rows if shrunk < row["iteration"])


def test_workers_that_leave_no_core_rest_for_who_uses_the_page_and_train_on(visitor: Page, system: Running) -> None:
    name = project(system, "crowded")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.add_init_script(TOUCHES)
    visitor.add_init_script("Object.defineProperty(navigator, 'hardwareConcurrency', {value: 2})")
    visitor.goto(f"{system.master}/project/{name}")
    lead = visitor.get_by_test_id("lead")
    visitor.get_by_test_id("add-worker").click()
    expect(visitor.get_by_test_id("worker-row")).to_have_count(1)
    expect(lead).not_to_contain_text("one core is left to you")
    visitor.get_by_test_id("add-worker").click()
    expect(lead).to_contain_text("While you use this page, one core is left to you")
    until(lambda: system.project(name)["status"]["trainers"] == 2, "both train")
    before, at = visitor.evaluate("touches"), system.iteration(name)
    places = [(60, 60), (200, 300)]

    def used() -> bool:
        """Move the mouse all of the time, as a person does, until enough was told."""
        for place in places:
            visitor.mouse.move(*place)
        return bool(visitor.evaluate("touches") >= before + 5)

    def typed() -> bool:
        """Press a key; a touch just before may have been the one that counts."""
        visitor.keyboard.press("Tab")
        return bool(visitor.evaluate("touches") > before)

    begun = time.monotonic()
    until(used, "the boss hears of it")
    assert visitor.evaluate("touches") - before <= 5 * (time.monotonic() - begun) + 1, "at most five times a second"
    before = visitor.evaluate("touches")
    until(typed, "a key counts, too")
    until(lambda: system.iteration(name) >= at + 6, "rounds go on meanwhile")
    until(lambda: system.project(name)["status"]["trainers"] == 2, "and both are part of them")
