"""`mlitb up --https` in a real Chromium: a name in a LAN is trusted, so the camera is there, and it trains."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import BrowserContext, BrowserType, expect

from tests.running import Running, running, until

from .chromium import FAKE_CAMERA, launch


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("https") / "data"


@pytest.fixture(scope="module")
def secure(folder: Path) -> Iterator[Running]:
    with running(folder, "--https", "--lan", "--allow-host", "lan.test") as started:
        yield started


@pytest.fixture(scope="module")
def device(secure: Running, folder: Path, chromium: BrowserType) -> Iterator[BrowserContext]:
    """Give the browser of a device that accepted the server's certificate."""
    assert secure.link.startswith("https://")
    leaf = x509.load_pem_x509_certificate((folder / "https" / "cert.pem").read_bytes())
    key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    accepted = base64.b64encode(hashlib.sha256(key).digest()).decode()
    flags = ("--host-resolver-rules=MAP lan.test 127.0.0.1", f"--ignore-certificate-errors-spki-list={accepted}")
    with launch(chromium, *flags, *FAKE_CAMERA) as browser:
        yield browser


def test_a_device_in_the_network_trains_and_its_camera_works(secure: Running, device: BrowserContext) -> None:
    page = device.new_page()
    page.goto(f"https://lan.test:{secure.port}/join/digits")
    assert page.evaluate("isSecureContext") is True
    before = secure.iteration()
    page.get_by_test_id("add-worker").click()
    until(lambda: secure.iteration() > before + 2, "it trains")
    expect(page.get_by_test_id("join-state")).to_contain_text("Computing")
    page.goto(f"https://lan.test:{secure.port}/project/digits/classify")
    page.get_by_test_id("camera").click()
    expect(page.get_by_test_id("answer")).to_be_visible()
    page.close()


def test_a_data_server_that_a_browser_does_not_trust_is_named_with_what_to_do(
    secure: Running, device: BrowserContext
) -> None:
    page, address = device.new_page(), f"https://lan.test:{secure.data_port}"
    page.route(f"{address}/**", lambda route: route.abort("failed"))
    page.goto(f"https://lan.test:{secure.port}/data")
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text(f"The data server at {address} did not answer")
    expect(trouble).to_contain_text("open that address once and accept it there, too")
    page.close()
