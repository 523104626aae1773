"""The volunteer's page: one button, a kiosk, and always why it is not computing."""

import re

from playwright.sync_api import Page, expect

from tests.running import Running, until

from .pages import project


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
