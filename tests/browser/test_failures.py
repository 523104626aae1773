"""What only a failure shows: each sentence with its button, which tries again or puts it away."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.running import Running, until

from .pages import DIGITS_LAYERS

BOSSES = """window.bosses = [];
window.Worker = class extends Worker {
  constructor(...given) { super(...given); if (/boss/.test(given[0])) window.bosses.push(this); }
};"""
"""Lets a test speak for the boss of a page."""


def hear(page: Page, message: dict[str, object]) -> None:
    """Let the page hear something as if its boss had said it."""
    page.evaluate("data => bosses[0].dispatchEvent(new MessageEvent('message', {data}))", message)


@pytest.mark.parametrize(
    ("path", "asked", "times", "again", "shows"),
    [
        ("/", "**/api/projects", 1, "projects-again", "project-card"),
        ("/project/digits", "**/api/projects/digits", 2, "gone-again", "project-title"),  # again at the first status
        ("/data", "**/datasets", 1, "datasets-again", "dataset-card"),
    ],
    ids=["projects", "project", "data"],
)
def test_what_did_not_come_is_asked_for_again(
    path: str, asked: str, times: int, again: str, shows: str, visitor: Page, system: Running
) -> None:
    aborted: list[str] = []
    visitor.add_init_script("Object.defineProperty(document, 'visibilityState', {value: 'hidden'})")  # then none polls

    def fail(route: Route) -> None:
        aborted.append(route.request.url)
        route.abort()

    visitor.route(asked, fail)
    visitor.goto(f"{system.master}{path}")
    expect(visitor.get_by_role("alert")).to_contain_text("did not answer. Check that it is running")
    visitor.wait_for_load_state("networkidle")
    until(lambda: len(aborted) >= times, "everything was asked for")
    visitor.unroute(asked)
    visitor.get_by_test_id(again).click()
    expect(visitor.get_by_test_id(shows).first).to_be_visible()
    expect(visitor.get_by_role("alert")).to_have_count(0)


def test_from_a_project_that_is_not_told_a_link_leads_to_all(visitor: Page, system: Running) -> None:
    visitor.route("**/api/projects/digits", lambda route: route.abort())
    visitor.goto(f"{system.master}/project/digits")
    visitor.get_by_test_id("to-projects").click()
    expect(visitor.get_by_test_id("project-card").first).to_be_visible()


def test_a_part_that_could_not_be_loaded_is_loaded_again(visitor: Page, system: Running) -> None:
    visitor.route("**/ui/models/take.js", lambda route: route.abort())
    visitor.goto(f"{system.master}/project/digits")
    visitor.get_by_test_id("model-forms").click()
    expect(visitor.get_by_role("dialog").get_by_role("alert")).to_contain_text("could not be loaded")
    visitor.unroute("**/ui/models/take.js")
    visitor.get_by_test_id("part-again").click()
    expect(visitor.get_by_test_id("form-onnx")).to_be_visible()


def test_a_closed_connection_is_opened_again_by_loading_the_page(visitor: Page, system: Running) -> None:
    visitor.add_init_script(BOSSES)
    visitor.goto(f"{system.master}/project/digits")
    connection = visitor.get_by_test_id("connection")
    expect(connection).to_have_attribute("data-state", "open")
    hear(visitor, {"type": "connection", "state": "closed", "reason": "this address has too many connections"})
    expect(visitor.get_by_role("alert")).to_contain_text("This address has too many connections. Load the page again")
    visitor.evaluate("window.old = true")
    visitor.get_by_test_id("load-again").click()
    until(lambda: visitor.evaluate("bosses.length === 1 && !window.old"), "the page was loaded again")
    expect(connection).to_have_attribute("data-state", "open")
    expect(visitor.get_by_test_id("load-again")).to_have_count(0)


@pytest.mark.parametrize("path", ["project", "join"])
def test_what_was_read_is_put_away(path: str, visitor: Page, system: Running) -> None:
    visitor.add_init_script(BOSSES)
    visitor.goto(f"{system.master}/{path}/digits")
    expect(visitor.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    refused = {
        "type": "refused",
        "status": 429,
        "reason": "one browser may lend 256 workers",
        "about": "Join",
        "worker": 1,
    }
    for said, sentence, dismiss in (
        (refused, "One browser may lend 256 workers.", "refusal-dismiss"),
        ({"type": "slept", "ms": 61_000}, "slept for 1", "slept-dismiss"),
    ):
        hear(visitor, said)
        expect(visitor.locator(".notice")).to_contain_text(sentence)
        visitor.get_by_test_id(dismiss).click()
        expect(visitor.locator(".notice")).to_have_count(0)


def test_without_data_there_is_no_model_to_download(owner: Page, system: Running) -> None:
    made = system.owner.post("/api/projects", json={"name": "no model yet", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    expect(owner.get_by_test_id("no-model")).to_be_disabled()
    expect(owner.get_by_test_id("no-model")).to_have_attribute(
        "title", "There is a model as soon as the project has data."
    )


def test_every_link_leads_on_and_back(visitor: Page, system: Running) -> None:
    visitor.goto(system.master)
    visitor.locator("[data-project=digits]").get_by_test_id("card-open").click()
    expect(visitor.get_by_test_id("project-title")).to_have_text("digits")
    visitor.get_by_role("link", name="MLitB", exact=False).click()
    visitor.locator("[data-project=digits]").get_by_test_id("card-classify").click()
    expect(visitor.get_by_test_id("choose-pictures")).to_be_enabled()
    visitor.goto(f"{system.master}/data")
    visitor.get_by_test_id("open-dataset").first.click()
    visitor.get_by_role("link", name="All data sets").click()
    expect(visitor.get_by_test_id("dataset-card").first).to_be_visible()
    visitor.get_by_test_id("open-dataset").first.click()
    visitor.get_by_test_id("used-by").first.click()
    expect(visitor.get_by_test_id("project-title")).to_be_visible()
    visitor.get_by_test_id("data-of-project").first.click()
    expect(visitor.get_by_test_id("data-title")).to_be_visible()
    visitor.goto(f"{system.master}/nothing")
    visitor.get_by_role("link", name="MLitB", exact=True).click()
    expect(visitor.get_by_test_id("project-card").first).to_be_visible()
