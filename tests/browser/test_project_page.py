"""A project's page, as people use it: figures, curves, their own workers, and what only its owner sees."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import Running, until

from .pages import figure, project


def test_a_project_shows_how_it_learns(sized: Page, system: Running) -> None:
    name = project(system, "learns")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    sized.goto(f"{system.master}/project/{name}")
    expect(sized.get_by_test_id("connection")).to_have_attribute("data-state", "open")
    sized.get_by_test_id("add-worker").click()
    until(lambda: figure(sized, "iteration") >= 6, "six iterations on the page")
    state = system.project(name)["status"]
    assert figure(sized, "error") == pytest.approx(100 * state["error"], abs=25), "error is a share in per cent"
    assert 0 < figure(sized, "loss") < 5
    assert figure(sized, "trainers") == 1
    for chart in ("error", "loss", "power", "latency", "bytes"):
        shown = sized.get_by_test_id(f"chart-{chart}")
        assert int(shown.get_attribute("data-points") or 0) >= 4
        assert "iteration" in (shown.locator(".plot").get_attribute("aria-label") or "")
    sized.reload()  # its worker goes with it, so nothing is added any more
    expect(sized.get_by_test_id("chart-error")).to_have_attribute("data-points", re.compile(r"^([4-9]|\d\d+)$"))
    rows = system.visitor.get(f"/api/projects/{name}/history").json()
    seconds = int(sum(row["seconds"] for row in rows))
    assert seconds >= 3, "six iterations of half a second"
    expect(sized.get_by_test_id("stat-time")).to_have_text(re.compile(rf"^{seconds}\ss$"))
    for chart, unit in (("latency", "ms"), ("bytes", "KB")):
        expect(sized.get_by_test_id(f"chart-{chart}").locator(".chart-value").first).to_contain_text(unit)


def test_my_workers_pause_resume_and_leave(sized: Page, system: Running) -> None:
    name = project(system, "workers")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    sized.goto(f"{system.master}/project/{name}")
    add, rows = sized.get_by_test_id("add-worker"), sized.get_by_test_id("worker-row")
    add.click()
    add.click()
    expect(rows).to_have_count(2)
    state = rows.first.get_by_test_id("worker-state")
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    rows.first.get_by_test_id("pause-worker").click()
    expect(state).to_have_attribute("data-state", "paused")
    expect(state).to_have_text("Paused")
    until(lambda: system.project(name)["status"]["trainers"] == 1, "the master knows of the pause")
    rows.first.get_by_test_id("resume-worker").click()
    expect(state).to_have_attribute("data-state", re.compile("working|saturated"))
    for left in (1, 0):
        rows.first.get_by_test_id("remove-worker").click()
        expect(rows).to_have_count(left)
    until(lambda: system.project(name)["status"]["trainers"] == 0, "both are gone")


def test_the_table_shows_everybody_or_only_my_own(visitor: Page, browser: Browser, system: Running) -> None:
    name = project(system, "everybody")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    other = browser.new_page()
    for page in (other, visitor):
        page.goto(f"{system.master}/project/{name}")
        page.get_by_test_id("add-worker").click()
        expect(page.get_by_test_id("worker-total")).to_have_text(re.compile("^[1-9]"))
    rows = visitor.get_by_test_id("roster-row")
    expect(rows).to_have_count(2)
    expect(rows.get_by_text("you", exact=True)).to_have_count(1)
    visitor.get_by_test_id("show-mine").check(force=True)
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("you")
    visitor.get_by_test_id("show-all").check(force=True)
    expect(rows).to_have_count(2)
    expect(visitor.get_by_test_id("engine")).to_contain_text(system.visitor.get("/api/config").json()["engine"][:8])
    visitor.get_by_test_id("remove-worker").click()
    visitor.get_by_test_id("show-mine").check(force=True)
    expect(visitor.get_by_text("None of your workers computes for this project.")).to_be_visible()
    other.context.close()


def test_each_row_tells_role_and_data(owner: Page, system: Running) -> None:
    name = project(system, "row by row")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("add-worker").click()
    names = owner.locator(".my-workers .worker-name")
    expect(names).to_have_text(["Worker 1", "Statistics"])  # the owner's page measures by itself
    owner.get_by_test_id("add-worker").click()
    expect(names).to_have_text(["Worker 1", "Statistics", "Worker 2"])
    for called in ("Worker 1", "Statistics", "Worker 2"):
        expect(owner.get_by_role("button", name=f"Remove {called}", exact=True)).to_be_visible()
    rows = owner.get_by_test_id("roster-row")
    expect(rows.filter(has_text="Trainer")).to_have_count(2)
    expect(rows.filter(has_text="Statistics")).to_have_count(1)
    every = system.project(name)["status"]["data_vectors"]

    def told() -> list[list[int]]:
        cells = rows.filter(has_text="Trainer").get_by_test_id("roster-data").all_inner_texts()
        return [[int(figure.replace(",", "")) for figure in cell.split(" / ")] for cell in cells]

    def agree() -> bool:
        sums = [sum(column) for column in zip(*told(), strict=True)]
        return sums == [every, every, system.project(name)["status"]["vectors"]]

    until(agree, "allocated, cached and used add up to the data and to an iteration's vectors")


def roles(system: Running, name: str) -> set[str]:
    """Return the roles of those who work for a project."""
    return {row["role"] for row in system.visitor.get(f"/api/projects/{name}/workers").json()["rows"]}


def test_several_workers_and_other_roles_are_lent_at_a_click(browser: Browser, system: Running) -> None:
    name = project(system, "several")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script("Object.defineProperty(navigator, 'hardwareConcurrency', {value: 4})")
    page = context.new_page()
    page.goto(f"{system.master}/project/{name}")
    page.get_by_test_id("lend-more").locator("summary").click()
    number, lend = page.get_by_test_id("lend-number"), page.get_by_test_id("lend")
    expect(number).to_have_value("3")
    for wrong in ("0", "", "9999"):
        number.fill(wrong)
        expect(lend).to_be_disabled()
        expect(page.get_by_text("A browser lends 1 to 256 workers.")).to_be_visible()
    number.fill("2")
    lend.click()
    expect(page.get_by_test_id("worker-row")).to_have_count(2)
    until(lambda: system.project(name)["status"]["trainers"] == 2, "both train")
    page.get_by_test_id("lend-role").select_option("statistics")
    lend.click()
    until(lambda: "statistics" in roles(system, name), "it measures")
    page.get_by_test_id("lend-role").select_option("classify")
    lend.click()
    page.wait_for_url(f"**/project/{name}/classify")
    context.close()


def test_workers_go_on_while_their_person_looks_elsewhere(sized: Page, system: Running) -> None:
    name = project(system, "elsewhere")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_test_id("add-worker").click()
    until(lambda: system.iteration(name) >= 2, "it trains")
    sized.get_by_role("navigation").get_by_role("link", name="Projects").click()
    expect(sized.get_by_role("heading", name="Projects", exact=True)).to_be_visible()
    at = system.iteration(name)
    until(lambda: system.iteration(name) >= at + 3, "it still trains")
    sized.get_by_role("link", name=re.compile("1 worker of yours")).click()
    expect(sized.get_by_test_id("worker-row")).to_have_count(1)
    sized.go_back()
    expect(sized.get_by_test_id("project-card").first).to_be_visible()


def test_the_intensity_is_tuned_at_once_and_remembered(visitor: Page, system: Running) -> None:
    name = project(system, "intensity")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    visitor.get_by_test_id("intensity-full").check(force=True)
    visitor.get_by_test_id("add-worker").click()
    expect(visitor.get_by_test_id("roster-row")).to_have_count(1)
    visitor.get_by_test_id("intensity-gentle").check(force=True)
    budget = visitor.get_by_test_id("roster-budget")

    def budget_ms() -> float:
        return float(re.sub(r"[^\d.]", "", budget.inner_text()) or "0")

    until(lambda: 0 < budget_ms() <= 0.31 * 500, "the budget is 30 % of T at most")
    visitor.reload()
    expect(visitor.get_by_test_id("intensity-gentle")).to_be_checked()


def test_the_capacity_is_tuned_at_once_and_remembered(visitor: Page, system: Running) -> None:
    name = project(system, "capacity")
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    visitor.goto(f"{system.master}/project/{name}")
    expect(visitor.get_by_test_id("capacity-usual")).to_be_checked()
    every = system.project(name)["status"]["data_vectors"]
    assert every > 1000

    def allocated() -> int:
        rows = system.visitor.get(f"/api/projects/{name}/workers").json()["rows"]
        return sum(row["allocated"] for row in rows)

    visitor.get_by_test_id("add-worker").click()
    until(lambda: allocated() == every, "it holds all there is")
    visitor.get_by_test_id("capacity-small").check(force=True)
    until(lambda: 0 < allocated() <= 1000, "it holds what was allowed")
    visitor.goto(f"{system.master}/join/{name}")
    expect(visitor.get_by_test_id("capacity-small")).to_be_checked()
    visitor.get_by_test_id("add-worker").click()
    until(lambda: 0 < allocated() <= 1000, "it is allowed no more after a reload")
    visitor.get_by_test_id("capacity-large").check(force=True)
    until(lambda: allocated() == every, "and more again")


def test_start_pause_reboot_and_remove(sized: Page, system: Running) -> None:
    name = project(system, "controlled")
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_test_id("start").click()
    sized.get_by_test_id("add-worker").click()
    until(lambda: system.iteration(name) >= 3, "it trains")
    sized.get_by_test_id("pause").click()
    expect(sized.get_by_test_id("start")).to_be_visible()
    assert system.project(name)["status"]["state"] == "paused"
    at = system.iteration(name)
    sized.get_by_test_id("reboot").click()
    expect(sized.get_by_role("dialog")).to_contain_text(f"{at} iterations of training")
    sized.get_by_test_id("confirm").click()
    until(lambda: system.project(name)["status"]["error"] == -1, "it knows nothing again")
    expect(sized.get_by_test_id("chart-error")).to_have_attribute("data-points", "0")
    sized.get_by_test_id("remove-project").click()
    expect(sized.get_by_role("dialog")).to_contain_text("cannot be undone")
    sized.keyboard.press("Escape")
    expect(sized.get_by_role("dialog")).to_be_hidden()
    sized.get_by_test_id("remove-project").click()
    sized.get_by_test_id("confirm").click()
    sized.wait_for_url(f"{system.master}/")
    assert system.visitor.get(f"/api/projects/{name}").status_code == 404


def test_only_what_was_done_is_read_out(owner: Page, system: Running) -> None:
    name = project(system, "said")
    owner.goto(f"{system.master}/project/{name}")
    said = owner.locator("#app > [role=status]")
    owner.route(f"**/api/projects/{name}/start", lambda route: route.fulfill(status=409, json={"detail": "not now"}))
    owner.get_by_test_id("start").click()
    expect(owner.get_by_role("alert")).to_contain_text("Not now.")
    expect(owner.get_by_test_id("start")).to_be_enabled()
    expect(said).to_have_text("")
    owner.unroute(f"**/api/projects/{name}/start")
    owner.get_by_test_id("start").click()
    expect(said).to_have_text("Started.")


def test_settings_change_while_it_runs(sized: Page, system: Running) -> None:
    name = project(system, "tuned")
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_role("heading", name="Settings", exact=True).click()
    sized.get_by_test_id("setting-learning_rate").fill("0.125")
    sized.get_by_test_id("setting-period").fill("99")
    sized.get_by_test_id("save-settings").click()
    expect(sized.get_by_text(re.compile("period must be", re.I))).to_be_visible()
    sized.get_by_test_id("setting-period").fill("2")
    sized.get_by_test_id("save-settings").click()
    expect(sized.get_by_test_id("stat-period")).to_have_text(re.compile(r"^2\s?s$"))
    settings = system.project(name)["settings"]
    assert (settings["learning_rate"], settings["period"]) == (0.125, 2.0)


def test_the_test_error_is_measured_while_its_owner_wishes(sized: Page, system: Running) -> None:
    name = project(system, "measured")
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_test_id("measure").click()
    until(lambda: "statistics" in roles(system, name), "a worker of this page measures")
    sized.get_by_test_id("measure-stop").click()
    until(lambda: "statistics" not in roles(system, name), "it is gone")
    expect(sized.get_by_test_id("measure")).to_be_visible()


def test_every_hyper_parameter_of_the_core_has_a_field(owner: Page, system: Running) -> None:
    name = project(system, "every setting")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_role("heading", name="Settings", exact=True).click()
    found: set[str] = set()
    for optimizer in ("sgd", "adam", "rmsprop", "adagrad"):
        owner.get_by_test_id("setting-local_steps").set_checked(optimizer == "adam")
        owner.get_by_test_id("setting-optimizer").select_option(optimizer)
        fields = owner.locator("[data-testid^=setting-]")
        found |= {
            key.removeprefix("setting-") for key in fields.evaluate_all("all => all.map(one => one.dataset.testid)")
        }
    settings = system.project(name)["settings"]
    assert found == set(settings)
    owner.get_by_test_id("setting-close_when_saturated").check()
    owner.get_by_test_id("setting-local_steps").check()
    owner.get_by_test_id("setting-local_batch").select_option("4")
    owner.get_by_test_id("setting-seed").fill("7")
    owner.get_by_test_id("save-settings").click()
    expect(owner.get_by_text("They hold from the next iteration on")).to_be_visible()
    owner.get_by_test_id("setting-optimizer").select_option("rmsprop")
    typed: dict[str, Any] = {
        "momentum": 0.5, "rho": 0.9, "epsilon": 1e-6, "clip": 5.0, "l1": 0.001, "l2": 0.002, "warmup": 3, "grace": 0.25,
        "decay": 0.5, "decay_interval": 100, "decay_floor": 0.0001, "vectors": 200,
    }  # fmt: skip
    for key, value in typed.items():
        owner.get_by_test_id(f"setting-{key}").fill(str(value))
    owner.get_by_test_id("setting-volunteers_teach").check()
    owner.get_by_test_id("save-settings").click()
    expect(owner.get_by_test_id("setting-volunteers_teach")).to_be_checked()
    typed |= {"optimizer": "rmsprop", "volunteers_teach": True}
    until(lambda: typed.items() <= system.project(name)["settings"].items(), "all are saved")
    settings |= typed
    changed = {"close_when_saturated": True, "local_steps": True, "local_batch": 4, "seed": 7, "learning_rate": 1.0}
    assert system.project(name)["settings"] == {**settings, **changed}


def test_local_steps_bring_the_optimizer_that_averages_them(owner: Page, system: Running) -> None:
    name = project(system, "averaged")
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_role("heading", name="Settings", exact=True).click()
    local, rate = owner.get_by_test_id("setting-local_steps"), owner.get_by_test_id("setting-learning_rate")
    local.check()
    expect(owner.get_by_test_id("setting-optimizer")).to_have_value("sgd")
    expect(rate).to_have_value("1")
    local.uncheck()
    expect(owner.get_by_test_id("setting-optimizer")).to_have_value("adagrad")
    expect(rate).to_have_value("0.01")
    local.check()
    rate.fill("0.5")
    local.uncheck()
    expect(rate).to_have_value("0.5")  # a person's own choice stays
    local.check()
    owner.get_by_test_id("save-settings").click()
    wanted = {"local_steps": True, "optimizer": "sgd", "learning_rate": 1.0, "momentum": 0.0}
    until(lambda: wanted.items() <= system.project(name)["settings"].items(), "they are saved together")


def test_what_is_looked_at_now_and_then_folds(owner: Page, system: Running) -> None:
    owner.goto(f"{system.master}/project/digits")
    table, file = owner.get_by_role("row", name=re.compile("Convolution")), owner.get_by_test_id("upload-file")
    expect(table).to_be_hidden()
    owner.get_by_text("Network", exact=True).click()
    expect(table).to_be_visible()
    expect(file.locator("..")).to_be_hidden()
    owner.get_by_text("Add pictures", exact=True).click()
    expect(file.locator("..")).to_be_visible()


def weights(system: Running, name: str) -> dict[str, Any]:
    """Return the parameters of a project's downloaded model, by layer."""
    model = system.visitor.get(f"/api/projects/{name}/model.json").json()
    return dict(model["parameters"])


def test_a_frozen_layer_stays_bit_equal_while_the_others_learn(sized: Page, system: Running) -> None:
    name = project(system, "frozen layer")
    system.owner.patch(f"/api/projects/{name}", json={"layers": {"conv1": {"frozen": False}}}).raise_for_status()
    system.owner.post(f"/api/projects/{name}/start").raise_for_status()
    sized.goto(f"{system.master}/project/{name}")
    sized.get_by_test_id("add-worker").click()
    until(lambda: system.iteration(name) >= 2, "it trains")
    sized.get_by_role("heading", name="Settings", exact=True).click()
    sized.get_by_test_id("frozen-conv1").check()
    sized.get_by_test_id("rate-fully_connected3").fill("0.5")
    sized.get_by_test_id("decay-fully_connected3").fill("2")
    sized.get_by_test_id("decay-fully_connected3").press("Tab")
    sized.get_by_test_id("save-settings").click()
    expect(sized.get_by_text("They hold from the next iteration on")).to_be_visible()
    expect(sized.get_by_test_id("frozen-conv1")).to_be_checked()
    sized.get_by_test_id("log").locator("summary").click()
    expect(sized.get_by_test_id("log").get_by_text("conv1 frozen True")).to_be_visible()
    layers = {layer["type"]: layer for layer in system.project(name)["layers"]}
    assert layers["conv"]["frozen"] is True
    assert (layers["fully_connected"]["learning_rate"], layers["fully_connected"]["l2"]) == (0.5, 2)
    before, at = weights(system, name), system.iteration(name)
    until(lambda: system.iteration(name) >= at + 3, "it trains on")
    after = weights(system, name)
    for part in ("conv1.weights", "conv1.bias"):
        assert after[part] == before[part]
    assert after["fully_connected3.weights"] != before["fully_connected3.weights"]


def test_the_log_tells_what_happens_by_level(visitor: Page, system: Running) -> None:
    name = project(system, "logged")
    visitor.goto(f"{system.master}/project/{name}")
    log = visitor.get_by_test_id("log")
    log.locator("summary").click()
    expect(log).to_contain_text("1437 vectors, 10 labels")
    visitor.get_by_test_id("add-worker").click()
    expect(log).to_contain_text("joined as trainer")
    system.owner.patch(f"/api/projects/{name}", json={"momentum": 0.5}).raise_for_status()
    expect(log).to_contain_text("settings: momentum 0.0 → 0.5")
    expect(log.locator("[data-level=debug]")).to_have_count(0)
    visitor.get_by_test_id("log-all").check(force=True)
    expect(log.locator("[data-level=debug]").last).to_contain_text("checkpoint of iteration 0 saved")
    visitor.get_by_test_id("log-warning").check(force=True)
    expect(log.get_by_text("Nothing of this kind.")).to_be_visible()
    visitor.get_by_test_id("log-error").check(force=True)
    visitor.get_by_test_id("log-info").check(force=True)
    visitor.get_by_test_id("remove-worker").click()
    expect(log.get_by_test_id("log-row").first).to_contain_text("took worker")


def test_times_are_relative_go_on_and_tell_the_exact_one_on_hover(owner: Page, system: Running) -> None:
    name = project(system, "times")
    owner.clock.install()
    owner.goto(f"{system.master}/project/{name}")
    owner.get_by_test_id("log").locator("summary").click()
    time = owner.get_by_test_id("log-row").first.locator("time")
    expect(time).to_have_text(re.compile("^(just now|[1-5]0\\ss ago)$"))
    owner.clock.fast_forward("03:30")  # the project rests: nothing but the clock draws
    expect(time).to_have_text(re.compile(r"^3\smin ago$"))
    owner.clock.fast_forward("02:00:00")
    expect(time).to_have_text(re.compile(r"^2\sh ago$"))
    assert re.search(r"\d{4}.*\d+:\d\d:\d\d", time.get_attribute("title") or "")
    owner.goto(f"{system.master}/data")
    owner.get_by_test_id("dataset-card").first.get_by_role("link").first.click()
    expect(owner.locator("time")).to_have_text(re.compile("^Uploaded .* ago.$"))


@pytest.mark.parametrize("path", ["project", "join"])
def test_what_the_owner_says_of_a_project_is_told(path: str, visitor: Page, system: Running) -> None:
    name = project(system, f"told {path}")
    visitor.goto(f"{system.master}/{path}/{name}")
    expect(visitor.get_by_role("heading", level=1)).to_contain_text(f"told {path}")
    expect(visitor.get_by_test_id("about")).to_have_count(0)
    about = {"description": "Leaves of two hundred trees.\nFor a book.", "author": "Ada", "licence": "CC0"}
    system.owner.put(f"/api/projects/{name}/about", json=about).raise_for_status()
    visitor.reload()
    expect(visitor.get_by_test_id("about")).to_have_text(
        re.compile("Leaves of two hundred trees.\\s+For a book.\\s*By Ada")
    )
    long = {"description": "Each leaf was picked by hand. " * 100}
    system.owner.put(f"/api/projects/{name}/about", json=long).raise_for_status()
    visitor.reload()
    told = visitor.get_by_role("region", name="About this project")
    told.focus()
    assert (told.bounding_box() or {"height": 1000})["height"] < 200, "the rest scrolls"


def test_a_visitor_sees_no_control_of_the_owner(visitor: Page, system: Running) -> None:
    visitor.goto(system.master)
    expect(visitor.get_by_test_id("project-card").first).to_be_visible()
    expect(visitor.get_by_test_id("new-project")).to_have_count(0)
    visitor.goto(f"{system.master}/project/digits")
    expect(visitor.get_by_test_id("download-model")).to_be_visible()
    for control in ("start", "pause", "reboot", "remove-project", "upload-file", "save-settings"):
        expect(visitor.get_by_test_id(control)).to_have_count(0)
