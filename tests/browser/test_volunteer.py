"""The volunteer's page: one button, a kiosk, and always why it is not computing."""

import re
from pathlib import Path

from playwright.sync_api import Browser, BrowserType, Page, Route, expect

from tests.running import Running, running, until

from .chromium import launch
from .pages import project

COMPUTES = re.compile("working|saturated")


def test_a_volunteer_lends_a_device_with_one_button(owner: Page, page: Page, system: Running) -> None:
    name = project(system, "joined")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    owner.goto(f"{system.master}/project/{name}")
    link = owner.get_by_test_id("invite-link").input_value()
    assert link == f"{system.master}/join/{name}"
    page.goto(link)
    state = page.get_by_test_id("join-state")
    expect(state).to_have_attribute("data-state", "off")
    page.get_by_test_id("add-worker").click()
    expect(state).to_have_attribute("data-state", COMPUTES)
    expect(page.get_by_text("Thank you")).to_be_visible()
    system.owner.post(f"/api/projects/{name}/pause").raise_for_status()
    expect(state).to_contain_text("the owner has paused the project")
    page.get_by_test_id("stop").click()
    expect(state).to_have_attribute("data-state", "stopped")
    until(lambda: system.project(name)["status"]["trainers"] == 0, "the worker is gone")


def test_a_kiosk_starts_without_a_click_once_its_person_agreed(visitor: Page, system: Running) -> None:
    name = project(system, "kiosk")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    address = f"{system.master}/join/{name}?auto=1&intensity=balanced"
    visitor.goto(address)
    state = visitor.get_by_test_id("join-state")
    expect(state).to_have_attribute("data-state", "off")
    visitor.get_by_test_id("add-worker").click()
    expect(state).to_have_attribute("data-state", COMPUTES)
    visitor.goto(address)
    expect(state).to_have_attribute("data-state", COMPUTES)
    expect(visitor.get_by_text("you agreed on this device before")).to_be_visible()
    expect(visitor.get_by_test_id("intensity-balanced")).to_be_checked()
    visitor.get_by_test_id("stop").click()
    visitor.get_by_test_id("watch").click()
    expect(visitor.get_by_test_id("project-title")).to_be_visible()
    visitor.go_back()
    expect(state).to_have_attribute("data-state", "stopped")
    expect(visitor.get_by_test_id("add-worker")).to_be_visible()
    assert system.project(name)["status"]["trainers"] == 0, "what was stopped stays so"


LISTEN = """() => {
  window.heard = [];
  const regions = "[role=status], [role=alert], [aria-live]";
  new MutationObserver(changes => {
    for (const {target, addedNodes} of changes)
      for (const one of [target, ...addedNodes]) {
        const element = one instanceof Element ? one : one.parentElement;
        const region = element?.closest(regions) ?? (one === target ? null : element?.querySelector(regions));
        if (region) window.heard.push(region.textContent.trim());
      }
  }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""
"""Keep what a screen reader is told."""


def heard(page: Page) -> list[str]:
    """Return what was read out since the last look, each sentence once in a row."""
    said: list[str] = page.evaluate("window.heard.splice(0)")
    return [now for before, now in zip(["", *said], said, strict=False) if now and now != before]


def places(page: Page) -> list[float]:
    """Return where the parts of the page lie."""
    found: list[float] = page.evaluate(
        "[...document.querySelectorAll('main section, main p, main li, main dl')].map(one => one.offsetTop)"
    )
    return found


def test_a_screen_reader_is_told_once_that_a_device_computes(visitor: Page, system: Running) -> None:
    name = project(system, "read out")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/join/{name}")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    visitor.evaluate(LISTEN)
    state = visitor.get_by_test_id("join-state")
    visitor.get_by_test_id("add-worker").click()
    expect(visitor.get_by_text("Thank you")).to_be_visible()
    at, shown, before = system.iteration(name), set(), places(visitor)
    while system.iteration(name) < at + 6:
        shown.add(state.inner_text())
    assert all(words.startswith("Computing.") for words in shown), shown
    assert not any("shorter T" in words for words in shown), "what only the owner can change"
    said = heard(visitor)
    assert said == ["Starting a worker …", "Computing."]
    assert places(visitor) == before, "nothing moves while it computes"
    system.owner.post(f"/api/projects/{name}/pause").raise_for_status()
    expect(state).to_have_attribute("data-state", "projectPaused")
    paused = ["Not computing: the owner has paused the project. It goes on by itself."]
    until(lambda: heard(visitor) == paused, "the pause is read out")


def test_a_screen_reader_is_told_once_what_each_worker_does(visitor: Page, system: Running) -> None:
    name = project(system, "rows read out")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    visitor.get_by_test_id("add-worker").click()
    visitor.get_by_test_id("add-worker").click()
    expect(visitor.get_by_test_id("worker-total").nth(1)).to_have_text(re.compile(r"^[1-9]"))
    visitor.evaluate(LISTEN)
    rows = visitor.locator(".my-workers")
    at, tall = system.iteration(name), set()
    while system.iteration(name) < at + 6:
        tall.add(rows.evaluate("rows => rows.offsetHeight"))
    assert len(tall) == 1, "the rows keep their height"
    assert heard(visitor) == []
    visitor.get_by_role("button", name="Pause Worker 2").click()
    until(lambda: heard(visitor) == ["Worker 2: Paused."], "the pause is read out")
    visitor.get_by_role("button", name="Remove Worker 1").click()
    until(lambda: heard(visitor) == ["Worker 1: Removed."], "the end is read out")


def test_what_was_given_stays_on_the_page_while_its_person_looks_elsewhere(visitor: Page, system: Running) -> None:
    name = project(system, "given")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/join/{name}")
    figures = visitor.locator(".join-figures dd")
    expect(figures.nth(2)).to_have_text(re.compile(r"^0"))
    visitor.get_by_test_id("add-worker").click()
    expect(figures.nth(2)).to_have_text(re.compile(r"^[1-9]"))
    system.owner.post(f"/api/projects/{name}/pause").raise_for_status()
    expect(visitor.get_by_test_id("join-state")).to_have_attribute("data-state", "projectPaused")
    until(lambda: system.project(name)["status"]["state"] == "paused", "it is paused")
    visitor.get_by_test_id("stop").click()
    expect(figures.nth(1)).to_have_text(re.compile(r"^0"))
    given = [figures.nth(place).inner_text() for place in (0, 2)]
    visitor.get_by_test_id("watch").click()
    expect(visitor.get_by_test_id("project-title")).to_be_visible()
    visitor.go_back()
    expect(visitor.get_by_test_id("join-state")).to_have_attribute("data-state", "stopped")
    assert [figures.nth(place).inner_text() for place in (0, 2)] == given


BATTERY = """
const battery = Object.assign(new EventTarget(), {charging: true});
navigator.getBattery = async () => battery;
window.plug = charging => {battery.charging = charging; battery.dispatchEvent(new Event("chargingchange"));};
"""
"""What a laptop tells its browser; the machine that tests has no battery."""


def test_a_device_waits_for_its_charger_if_its_person_wishes(visitor: Page, system: Running) -> None:
    name = project(system, "charging")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.add_init_script(BATTERY)
    visitor.goto(f"{system.master}/join/{name}")
    visitor.get_by_test_id("only-charging").check()
    state = visitor.get_by_test_id("join-state")
    visitor.get_by_test_id("add-worker").click()
    expect(state).to_have_attribute("data-state", COMPUTES)
    visitor.evaluate("plug(false)")
    expect(state).to_have_text("Not computing: the device does not charge. It goes on when it does.")
    until(lambda: system.project(name)["status"]["trainers"] == 0, "the worker pauses")
    visitor.evaluate("plug(true)")
    expect(state).to_have_attribute("data-state", COMPUTES)
    visitor.reload()
    expect(visitor.get_by_test_id("only-charging")).to_be_checked()


def test_a_device_waits_for_its_charger_on_every_page(visitor: Page, system: Running) -> None:
    name = project(system, "charging elsewhere")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.add_init_script(BATTERY)
    visitor.goto(f"{system.master}/join/{name}")
    visitor.get_by_test_id("only-charging").check()
    visitor.get_by_test_id("add-worker").click()
    state, row = visitor.get_by_test_id("join-state"), visitor.get_by_test_id("worker-state")
    expect(state).to_have_attribute("data-state", COMPUTES)
    visitor.get_by_test_id("watch").click()
    expect(row).to_have_attribute("data-state", COMPUTES)
    visitor.evaluate("plug(false)")
    expect(row).to_have_attribute("data-state", "paused")
    expect(visitor.get_by_test_id("worker-row")).to_contain_text("It waits until the device charges.")
    visitor.go_back()
    expect(state).to_have_attribute("data-state", "charging")
    visitor.evaluate("plug(true)")
    expect(state).to_have_attribute("data-state", COMPUTES)


def test_a_pause_of_its_person_ends_on_the_volunteers_page_too(visitor: Page, system: Running) -> None:
    name = project(system, "resumed")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.add_init_script(BATTERY)
    visitor.goto(f"{system.master}/join/{name}")
    visitor.get_by_test_id("only-charging").check()
    visitor.get_by_test_id("add-worker").click()
    visitor.get_by_test_id("watch").click()
    visitor.get_by_test_id("pause-worker").click()
    for charges in ("false", "true"):
        visitor.evaluate(f"plug({charges})")
        expect(visitor.get_by_test_id("worker-state")).to_have_attribute("data-state", "paused")
    visitor.go_back()
    state = visitor.get_by_test_id("join-state")
    expect(state).to_have_text("Paused by you. Press the button to go on.")
    visitor.get_by_test_id("resume").click()
    expect(state).to_have_attribute("data-state", COMPUTES)


def test_where_a_browser_does_not_tell_of_the_charger_the_page_says_so(visitor: Page, system: Running) -> None:
    visitor.add_init_script("navigator.getBattery = undefined")
    visitor.goto(f"{system.master}/join/digits")
    expect(visitor.get_by_test_id("charging-unknown")).to_contain_text("does not tell whether the device is charging")
    expect(visitor.get_by_test_id("only-charging")).to_have_count(0)


def test_over_plain_http_the_page_names_what_would_tell_of_the_charger(tmp_path: Path, chromium: BrowserType) -> None:
    options, flags = ("--lan", "--allow-host", "lan.test"), ("--host-resolver-rules=MAP lan.test 127.0.0.1",)
    with running(tmp_path / "data", *options) as own, launch(chromium, *flags) as context:
        page = context.new_page()
        page.goto(f"http://lan.test:{own.port}/join/digits")
        expect(page.get_by_test_id("charging-unknown")).to_contain_text("start it with mlitb up --https")
        assert page.evaluate("isSecureContext") is False
        page.goto(f"{own.master}/join/digits")
        expect(page.get_by_test_id("only-charging")).to_be_visible()
        expect(page.get_by_text("mlitb up --https")).to_have_count(0)


def test_a_phone_begins_gently_and_is_told_what_it_does_to_hidden_tabs(browser: Browser, system: Running) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{system.master}/join/digits")
    expect(page.get_by_test_id("intensity-gentle")).to_be_checked()
    expect(page.get_by_test_id("hidden-tabs")).to_contain_text("Keep this tab in front and the screen on")
    context.close()


def test_a_device_whose_worker_breaks_says_why_and_what_to_do(visitor: Page, system: Running) -> None:
    name = project(system, "breaks")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    asked: list[str] = []

    def breaks(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=500)

    visitor.context.route("**/engine/*.wasm", breaks)  # without it every worker fails at its start
    visitor.goto(f"{system.master}/join/{name}")
    visitor.get_by_test_id("add-worker").click()
    state = visitor.get_by_test_id("join-state")
    expect(state).to_have_text(
        "Stopped by an error. The server answers 500 for the engine. "
        "Press the button to start it anew; if that fails too, load the page again."
    )
    assert len(asked) == 4, "it was started again three times"
    expect(visitor.get_by_role("alert")).to_have_count(0)
    visitor.get_by_test_id("watch").click()
    row = visitor.get_by_test_id("worker-row")
    expect(row.get_by_test_id("worker-state")).to_have_text("Stopped by an error")
    expect(row).to_contain_text("for the engine. Remove it and add another; if that fails too, load the page again.")
    visitor.context.unroute("**/engine/*.wasm")
    visitor.go_back()
    visitor.get_by_test_id("lend-again").click()
    expect(state).to_have_attribute("data-state", COMPUTES)
    expect(visitor.get_by_test_id("stop")).to_be_visible()


def test_what_was_given_is_thanked_for_after_the_stop(visitor: Page, system: Running) -> None:
    name = project(system, "thanks")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/join/{name}")
    expect(visitor.get_by_test_id("hidden-tabs")).to_contain_text("Behind another tab it goes on")
    visitor.get_by_test_id("add-worker").click()
    expect(visitor.get_by_text("Thank you")).to_be_visible()
    visitor.get_by_test_id("stop").click()
    expect(visitor.get_by_test_id("join-state")).to_have_text(
        "Not computing: you stopped it. Press the button to go on."
    )
    expect(visitor.get_by_text("Thank you")).to_be_visible()
    expect(visitor.locator(".join-figures dd").first).to_have_text(re.compile(r"^[1-9][\d,]*vectors$"))
