"""Layers are dragged to another place, with a mouse and with a finger; what is drawn stays Preact's."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.running import Running

from .pages import quiet

SIZES = {"mouse": (1280, 900), "touch": (390, 844)}
STEPS = 8
"""Points on the way: a pointer does not jump."""

INSIDE = 10
"""CSS pixels inside of a row."""

Point = tuple[float, float]
Press = Callable[[str, Point], None]


@pytest.fixture(params=SIZES)
def form(request: pytest.FixtureRequest, browser: Browser, system: Running) -> Iterator[tuple[Page, Press]]:
    """Open the form for a project on a desktop and on a phone, each with its way to point."""
    width, height = SIZES[request.param]
    touch = request.param == "touch"
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch)
    page = quiet(context)
    page.goto(f"{system.master}/?token={system.token}")
    page.get_by_test_id("new-project").click()
    expect(page.locator(".editor-rows")).to_have_class(re.compile("ready"))
    yield page, finger(page) if touch else mouse(page)
    context.close()


def mouse(page: Page) -> Press:
    """Point with the mouse: `down`, `move`, `up`."""

    def press(what: str, point: Point) -> None:
        page.mouse.move(*point)
        if what != "move":
            getattr(page.mouse, what)()

    return press


def finger(page: Page) -> Press:
    """Point with a finger, as the browser gets it from a touch screen."""
    session = page.context.new_cdp_session(page)
    kinds = {"down": "touchStart", "move": "touchMove", "up": "touchEnd"}

    def press(what: str, point: Point) -> None:
        points = [] if what == "up" else [{"x": point[0], "y": point[1]}]
        session.send("Input.dispatchTouchEvent", {"type": kinds[what], "touchPoints": points})

    return press


def middle(of: Locator) -> Point:
    """Give the middle of what is drawn."""
    box = of.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def edge(of: Locator, upwards: bool) -> float:
    """Give the height just inside of a row's far side, as one comes from the other."""
    box = of.bounding_box()
    assert box is not None
    return box["y"] + (INSIDE if upwards else box["height"] - INSIDE)


def drag(press: Press, rows: Locator, start: int, target: int) -> Point:
    """Lift a row by its grip and carry it until it would land at another place; give the point where it is held."""
    # away from the edges, at which the list would scroll under the finger
    rows.nth((start + target) // 2).evaluate("row => row.scrollIntoView({block: 'center', behavior: 'instant'})")
    (x, y), end = middle(rows.nth(start).locator(".grip")), edge(rows.nth(target), target < start)
    press("down", (x, y))
    for step in range(1, STEPS + 1):
        press("move", (x, y + (end - y) * step / STEPS))
    expect(rows.page.locator(".editor-rows > li:not(.lifted)").nth(target)).to_have_class(re.compile("landing"))
    return x, end


def test_a_layer_is_dragged_up_and_down(
    form: tuple[Page, Press], system: Running, request: pytest.FixtureRequest
) -> None:
    page, press = form
    name = f"Dragged by {request.node.callspec.params['form']}"
    page.get_by_test_id("project-name").fill(name)
    rows, kinds = page.get_by_test_id("layer-row"), page.locator(".editor-line .layer-type")
    page.get_by_test_id("add-dropout").click()
    page.get_by_test_id("add-tanh").click()
    press("up", drag(press, rows, 5, 3))
    expect(kinds).to_have_text(
        ["Input", "Convolution", "ReLU", "Tanh", "Max-pool", "Dropout", "Fully connected", "Softmax"]
    )
    press("up", drag(press, rows, 2, 4))
    order = ["Input", "Convolution", "Tanh", "Max-pool", "ReLU", "Dropout", "Fully connected", "Softmax"]
    expect(kinds).to_have_text(order)
    expect(rows.nth(4).get_by_test_id("layer-figures")).to_contain_text("relu4")
    page.get_by_test_id("undo").click()
    page.get_by_test_id("undo").click()
    expect(kinds.nth(2)).to_have_text("ReLU")
    page.get_by_test_id("redo").click()
    page.get_by_test_id("redo").click()
    expect(kinds).to_have_text(order)
    page.get_by_test_id("create").click()
    page.wait_for_url("**/project/dragged-by-*")
    types = [layer["type"] for layer in system.project(page.url.rpartition("/")[2])["layers"]]
    assert types[1:-1] == ["conv", "tanh", "max_pool", "relu", "dropout", "fully_connected"]


def test_what_is_drawn_anew_while_a_layer_is_dragged_stays_whole(form: tuple[Page, Press]) -> None:
    page, press = form
    rows, kinds = page.get_by_test_id("layer-row"), page.locator(".editor-line .layer-type")
    point = drag(press, rows, 3, 1)
    with page.expect_response("**/api/projects"):  # asked for every few seconds; the page is drawn with what comes
        pass
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    press("up", point)
    expect(kinds).to_have_text(["Input", "Max-pool", "Convolution", "ReLU", "Fully connected", "Softmax"])
    page.get_by_label("filters: Convolution 2").fill("4")
    page.get_by_label("filters: Convolution 2").press("Enter")
    expect(rows.nth(2).get_by_test_id("layer-figures")).to_contain_text("40 parameters")
    expect(rows.nth(2)).to_contain_text("4×4×4")
    page.get_by_role("button", name="Remove Max-pool 1").click()
    expect(kinds).to_have_text(["Input", "Convolution", "ReLU", "Fully connected", "Softmax"])


def test_input_and_loss_stay_where_they_are(form: tuple[Page, Press]) -> None:
    page, press = form
    rows, kinds = page.get_by_test_id("layer-row"), page.locator(".editor-line .layer-type")
    before = kinds.all_inner_texts()
    expect(rows.first.locator(".grip:not(.none)")).to_have_count(0)
    expect(rows.last.locator(".grip:not(.none)")).to_have_count(0)
    rows.first.evaluate("row => row.scrollIntoView({block: 'start', behavior: 'instant'})")
    (x, y), (_, end) = middle(rows.nth(2).locator(".grip")), middle(rows.first)
    press("down", (x, y))
    for step in range(1, STEPS + 1):
        press("move", (x, y + (end - y) * step / STEPS))
    press("up", (x, end))
    expect(kinds.first).to_have_text("Input")
    assert sorted(kinds.all_inner_texts()) == sorted(before)


def test_without_the_library_layers_are_moved_by_buttons(owner: Page, system: Running) -> None:
    owner.route("**/vendor/sortable.js", lambda route: route.abort())
    owner.goto(system.master)
    owner.get_by_test_id("new-project").click()
    expect(owner.locator(".editor-row .grip").nth(1)).to_be_hidden()
    owner.get_by_role("button", name="Move Convolution 1 down").click()
    expect(owner.get_by_test_id("layer-row").nth(2)).to_contain_text("Convolution")
