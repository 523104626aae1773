"""The link with which others are invited: it leads them here from where they are, and is copied or scanned."""

from pathlib import Path

import pytest
from playwright.sync_api import BrowserType, Page, expect

from mlitb.access import is_loopback, lan_address
from tests.running import Running, running

from .chromium import launch

PUBLIC = "http://mlitb.example"


def test_an_invite_link_is_copied_or_may_be_copied_by_hand(owner: Page, system: Running) -> None:
    owner.context.grant_permissions(["clipboard-read", "clipboard-write"])
    owner.goto(f"{system.master}/project/digits")
    owner.get_by_test_id("copy-link").click()
    expect(owner.get_by_text("Copied", exact=True)).to_be_visible()
    assert owner.evaluate("navigator.clipboard.readText()") == f"{system.master}/join/digits"
    owner.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    owner.reload()
    owner.get_by_test_id("copy-link").click()
    expect(owner.get_by_text("Select the link and copy it")).to_be_visible()


def test_a_link_that_only_this_computer_can_open_says_how_to_invite_others(owner: Page, system: Running) -> None:
    owner.goto(f"{system.master}/project/digits")
    expect(owner.get_by_test_id("invite-lead")).to_contain_text("start the server with mlitb up --lan")
    expect(owner.get_by_test_id("invite-link")).to_have_value(f"{system.master}/join/digits")
    expect(owner.get_by_test_id("show-qr")).to_have_count(0)


def invited(page: Page, link: str) -> None:
    """See that a page invites by a link, also as a QR code."""
    expect(page.get_by_test_id("invite-lead")).to_contain_text("Anyone who opens this link")
    expect(page.get_by_test_id("invite-link")).to_have_value(link)
    page.get_by_test_id("show-qr").click()
    expect(page.get_by_test_id("qr")).to_have_attribute("aria-label", f"QR code of {link}")
    page.get_by_test_id("show-qr").click()
    expect(page.get_by_test_id("qr")).to_have_count(0)


def test_in_a_network_the_link_has_an_address_of_the_network(tmp_path: Path, chromium: BrowserType) -> None:
    options, flags = ("--lan", "--allow-host", "lan.test"), ("--host-resolver-rules=MAP lan.test 127.0.0.1",)
    with running(tmp_path / "data", *options) as system, launch(chromium, *flags) as browser:
        page = browser.new_page()
        page.goto(f"http://lan.test:{system.port}/project/digits")
        invited(page, f"http://lan.test:{system.port}/join/digits")
        page.goto(f"{system.master}/project/digits")
        if is_loopback(lan_address()):
            pytest.skip("this machine is in no network")
        invited(page, f"http://{lan_address()}:{system.port}/join/digits")


def test_behind_a_proxy_the_link_is_the_public_one(tmp_path: Path, chromium: BrowserType) -> None:
    with running(tmp_path / "data", "--public-url", f"{PUBLIC}/") as system, launch(chromium) as browser:
        page = browser.new_page()
        page.goto(f"{system.master}/project/digits")
        invited(page, f"{PUBLIC}/join/digits")
