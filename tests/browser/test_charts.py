"""The curves of a project's page: how far they look back, zooming that stays, and files."""

import csv
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.running import Running, until

from .pages import project

LONG = 1500
"""Iterations of an invented history: longer than every span that can be chosen."""


def csv_of(data: bytes) -> Iterator[dict[str, str]]:
    """Read comma-separated values, by the names in the head line."""
    yield from csv.DictReader(data.decode().splitlines())


def saved(page: Page, button: Locator) -> bytes:
    """Press a button that saves a file; return what it holds."""
    with page.expect_download() as download:
        button.click()
    return Path(download.value.path()).read_bytes()


def test_each_chart_is_exported(visitor: Page, system: Running) -> None:
    name = project(system, "charts")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    visitor.get_by_test_id("add-worker").click()
    until(lambda: len(system.visitor.get(f"/api/projects/{name}/history").json()) >= 4, "four iterations")
    visitor.get_by_test_id("remove-worker").click()
    visitor.reload()
    rows = system.visitor.get(f"/api/projects/{name}/history").json()
    expect(visitor.get_by_test_id("chart-error")).to_have_attribute("data-points", str(len(rows)))
    for chart, columns in (("error", 1), ("loss", 1), ("power", 1), ("latency", 1), ("bytes", 2)):
        shown = visitor.get_by_test_id(f"chart-{chart}")
        csv = saved(visitor, shown.get_by_test_id("save-csv")).decode().splitlines()
        assert [len(line.split(",")) for line in csv] == [2 + columns] * (1 + len(rows))
    table = list(csv_of(saved(visitor, visitor.get_by_test_id("export-csv"))))
    assert [int(row["iteration"]) for row in table] == [row["iteration"] + 1 for row in rows]
    assert [int(row["bytes_in"]) for row in table] == [row["bytes_in"] for row in rows]
    assert all(int(row["bytes_in"]) > 4 * 5210 for row in table[1:]), "a gradient of 5,210 values an iteration"
    visitor.reload()  # Chromium takes ten files from a page, then it asks
    for chart in ("error", "loss", "power", "latency", "bytes"):
        button = visitor.get_by_test_id(f"chart-{chart}").get_by_test_id("save-png")
        assert saved(visitor, button).startswith(b"\x89PNG")


def seen(chart: Locator) -> tuple[int, int]:
    """Return the first and the last iteration that a chart shows."""
    plot = chart.locator(".plot")
    return int(plot.get_attribute("data-from") or -1), int(plot.get_attribute("data-to") or -1)


def drag(page: Page, chart: Locator, start: float, end: float) -> None:
    """Drag over a part of a chart, given as shares of its width."""
    plot = chart.locator(".u-over")
    plot.scroll_into_view_if_needed()
    at = plot.bounding_box()
    assert at is not None
    y = at["y"] + at["height"] / 2
    page.mouse.move(at["x"] + at["width"] * start, y)
    page.mouse.down()
    page.mouse.move(at["x"] + at["width"] * end, y, steps=4)
    page.mouse.up()


def long_history(page: Page, name: str) -> None:
    """Let the page believe that a project has trained for long."""
    rows = [
        {
            "iteration": n,
            "time": 1e9 + n,
            "error": 1 / (n + 2),
            "loss": 1 / (n + 1),
            "vectors": 9,
            "power": 9,
            "trainers": 1,
        }
        for n in range(LONG)
    ]
    page.route(f"**/api/projects/{name}/history*", lambda route: route.fulfill(json=rows))


def test_the_spans_look_back_from_the_newest_iteration(owner: Page, system: Running) -> None:
    name = project(system, "spans")
    long_history(owner, name)
    owner.goto(f"{system.master}/project/{name}")
    error, loss = owner.get_by_test_id("chart-error"), owner.get_by_test_id("chart-loss")
    expect(error).to_have_attribute("data-points", str(LONG))
    for choice, first in (("span-100", LONG - 100), ("span-1000", LONG - 1000), ("span-all", 1)):
        owner.get_by_test_id(choice).check(force=True)
        for chart in (error, loss):
            expect(chart.locator(".plot")).to_have_attribute("data-from", str(first))
            assert seen(chart) == (first, LONG)


def test_a_drag_zooms_one_chart_and_a_double_click_goes_back(owner: Page, system: Running) -> None:
    name = project(system, "zoomed")
    long_history(owner, name)
    owner.goto(f"{system.master}/project/{name}")
    error, loss = owner.get_by_test_id("chart-error"), owner.get_by_test_id("chart-loss")
    expect(error).to_have_attribute("data-points", str(LONG))
    drag(owner, error, 0.2, 0.6)
    until(lambda: abs(seen(error)[0] - 0.2 * LONG) < 20 and abs(seen(error)[1] - 0.6 * LONG) < 20, "the part is seen")
    assert seen(loss) == (1, LONG), "the others stay"
    error.locator(".u-over").dblclick()
    until(lambda: seen(error) == (1, LONG), "all is seen again")
    drag(owner, error, 0.2, 0.6)
    until(lambda: seen(error)[0] > 1, "it is zoomed")
    owner.get_by_test_id("span-100").check(force=True)
    until(lambda: seen(error) == (LONG - 100, LONG), "the chosen span is seen instead")
    drag(owner, error, 0.5, 0.9)
    error.locator(".u-over").dblclick()
    until(lambda: seen(error) == (LONG - 100, LONG), "back to the chosen span")


def test_a_zoom_into_the_newest_part_stays_while_more_arrives(owner: Page, system: Running) -> None:
    name = project(system, "zoom stays")
    system.owner.patch(f"/api/projects/{name}", json={"period": 0.2}).raise_for_status()
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("add-worker").click()
    error = owner.get_by_test_id("chart-error")
    until(lambda: seen(error)[0] == 1 and seen(error)[1] >= 8, "eight iterations are seen, from the first on")
    drag(owner, error, 0.5, 1)
    until(lambda: seen(error)[0] >= 3, "the newer half is seen")
    part = seen(error)
    points = int(error.get_attribute("data-points") or 0)
    until(lambda: int(error.get_attribute("data-points") or 0) > points + 2, "more arrives")
    assert seen(error) == part
    error.locator(".u-over").dblclick()
    until(lambda: seen(error)[0] == 1 and seen(error)[1] > part[1] + 2, "all is seen, also what came meanwhile")
