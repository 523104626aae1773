"""A server without projects: one click leads to one that learns."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.running import Running, running, until

from .pages import SIZES, THEMES, Theme, findings, fits, opened


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a system in which there is nothing yet."""
    with running(tmp_path_factory.mktemp("empty") / "data", demo=False) as started:
        yield started


@pytest.fixture
def first(warm: BrowserContext, empty: Running) -> Iterator[Page]:
    """Open the empty list of projects as the owner, on a phone."""
    with opened(warm, *SIZES["phone"]) as page:
        page.goto(f"{empty.master}/?token={empty.token}")
        expect(page.get_by_role("heading", name="No project yet")).to_be_visible()
        yield page


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("who", ["first", "visitor"])
def test_an_empty_server_is_accessible(
    who: str, theme: Theme, request: pytest.FixtureRequest, axe: str, empty: Running
) -> None:
    page: Page = request.getfixturevalue(who)
    page.emulate_media(color_scheme=theme)
    for path in ("/", "/data"):
        page.goto(f"{empty.master}{path}")
        expect(page.locator(".empty")).to_be_visible()
        assert fits(page), path
        assert findings(page, axe) == [], path


def test_a_visitor_is_told_who_can_begin(visitor: Page, empty: Running) -> None:
    visitor.goto(empty.master)
    expect(visitor.get_by_text("The owner of this server can create one")).to_be_visible()
    expect(visitor.get_by_test_id("make-demo")).to_have_count(0)
    assert empty.visitor.post("/api/demo").status_code == 403


def test_the_first_project_may_be_ones_own(first: Page) -> None:
    first.get_by_test_id("first-project").click()
    expect(first.get_by_test_id("project-name")).to_be_visible()


def test_why_there_is_no_demo_is_said(first: Page) -> None:
    said = "the digits come with scikit-learn: pip install 'mlitb[demo]', then try again"
    first.route("**/api/demo", lambda route: route.fulfill(status=503, json={"detail": said}))
    first.get_by_test_id("make-demo").click()
    expect(first.get_by_role("alert")).to_contain_text("pip install 'mlitb[demo]'")
    expect(first.get_by_test_id("make-demo")).to_be_enabled()


def test_one_click_makes_a_project_that_learns(first: Page, empty: Running) -> None:
    first.get_by_test_id("make-demo").click()
    first.wait_for_url("**/project/digits")
    expect(first.get_by_test_id("stat-data")).to_have_text("1,437")
    first.get_by_test_id("add-worker").click()
    until(lambda: empty.iteration() >= 2, "it trains")
    again = empty.owner.post("/api/demo")
    assert (again.status_code, again.json()["id"]) == (201, "digits")
    assert len(empty.visitor.get("/api/projects").json()) == 1
