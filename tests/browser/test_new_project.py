"""A new project: the form, the layer editor, the first pictures."""

import json
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Page, expect

from mlitb.core.config import Settings
from mlitb.core.network import plan
from tests.data_server.zips import make_zip
from tests.running import Running, until

from .pages import DIGITS_LAYERS

pytestmark = pytest.mark.usefixtures("at_projects")


def test_a_new_project_from_the_first_click_to_the_trained_network(owner: Page, system: Running, archive: Path) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("create").click()
    expect(owner.get_by_text("Give the project a name.")).to_be_visible()
    owner.get_by_test_id("project-name").fill("From clicks")
    owner.get_by_test_id("preset").select_option("digits")
    owner.get_by_test_id("period").fill("0.5")
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/from-clicks")
    expect(owner.get_by_text("Next: give it pictures")).to_be_visible()
    owner.get_by_test_id("upload-file").set_input_files(archive)
    report = owner.get_by_test_id("upload-report")
    expect(report).to_contain_text("1,797 pictures in 10 labels")
    expect(owner.get_by_test_id("stat-data")).to_have_text("1,437")
    owner.get_by_test_id("start").click()
    owner.get_by_test_id("add-worker").click()
    until(lambda: system.iteration("from-clicks") >= 3, "it trains")
    with owner.expect_download() as download:
        owner.get_by_test_id("download-model").click()
    assert json.loads(Path(download.value.path()).read_text())["labels"] == [str(digit) for digit in range(10)]


def test_the_form_is_fetched_when_it_is_opened_and_keeps_what_was_begun(owner: Page) -> None:
    owner.route("**/ui/create.js", lambda route: route.abort())
    owner.get_by_test_id("new-project").click()
    expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text("could not be loaded")
    owner.unroute("**/ui/create.js")
    owner.get_by_role("dialog").get_by_role("button", name="Try again").click()
    expect(owner.get_by_test_id("project-name")).to_be_focused()
    owner.get_by_test_id("project-name").fill("Begun")
    owner.get_by_test_id("add-tanh").click()
    owner.keyboard.press("Escape")
    expect(owner.get_by_role("dialog")).to_be_hidden()
    owner.get_by_test_id("new-project").click()
    expect(owner.get_by_test_id("project-name")).to_have_value("Begun")
    expect(owner.get_by_test_id("layer-row")).to_have_count(7)


def test_what_the_server_refuses_stands_at_the_layers(owner: Page) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("project-name").fill("Own layers")
    owner.get_by_test_id("preset").select_option("own")
    layers = owner.get_by_test_id("layers-json")
    assert json.loads(layers.input_value())[0]["type"] == "input", "the last preset is the start"
    for wrong, said in (
        ("[{", "not valid JSON"),
        (json.dumps(DIGITS_LAYERS[:-1]), "last layer must be softmax"),
        (json.dumps([DIGITS_LAYERS[0], {"type": "conv", "kernel": 99}, DIGITS_LAYERS[-1]]), "does not fit"),
    ):
        layers.fill(wrong)
        owner.get_by_test_id("create").click()
        expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text(said)
        expect(layers).to_have_attribute("aria-invalid", "true")
        expect(layers).to_have_accessible_description(re.compile(said))
    model = {"labels": ["a"], "layers": [DIGITS_LAYERS[0] | {"mean": [0.1], "std": [0.2]}, *DIGITS_LAYERS[1:]]}
    for text in ("[]", json.dumps(model)):
        file = FilePayload(name="net.json", mimeType="application/json", buffer=text.encode())
        owner.get_by_test_id("layers-file").set_input_files(file)
        expect(owner.get_by_text("net.json holds no layers")).to_have_count(1 if text == "[]" else 0)
    expect(owner.get_by_text("5 layers of net.json")).to_be_visible()
    expect(owner.get_by_test_id("layer-row")).to_have_count(5)
    owner.get_by_test_id("preset").select_option("own")
    assert json.loads(layers.input_value()) == DIGITS_LAYERS
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/own-layers")


def test_layers_are_edited_by_hand(owner: Page, system: Running) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("project-name").fill("By hand")
    rows, total = owner.get_by_test_id("layer-row"), owner.get_by_test_id("network-total")
    expect(rows).to_have_count(6)
    expect(total).to_contain_text("2,730 parameters")
    owner.get_by_label("filters: Convolution 1").fill("4")
    owner.get_by_label("filters: Convolution 1").press("Enter")
    expect(total).to_contain_text("690 parameters")
    expect(owner.get_by_test_id("preset")).to_have_value("edited")
    owner.get_by_test_id("add-dropout").click()
    expect(rows.nth(4)).to_contain_text("Dropout")
    owner.get_by_role("button", name="Move Dropout 4 up").click()
    expect(rows.nth(3)).to_contain_text("Dropout")
    owner.get_by_role("button", name="Move Dropout 3 up").click()
    owner.get_by_role("button", name="Move Dropout 2 up").click()
    expect(rows.nth(1)).to_contain_text("Dropout")
    owner.get_by_role("button", name="Remove Dropout 1").click()
    expect(rows).to_have_count(6)
    owner.get_by_test_id("undo").click()
    expect(rows.nth(1)).to_contain_text("Dropout")
    owner.get_by_test_id("redo").click()
    expect(rows).to_have_count(6)
    owner.get_by_label("kernel: Convolution 1").fill("3×20")
    owner.get_by_label("kernel: Convolution 1").press("Tab")
    expect(rows.nth(1)).to_contain_text("does not fit into 8×8×1")
    owner.get_by_test_id("create").click()
    expect(rows.nth(1)).to_contain_text("a kernel of 20 does not fit")
    owner.get_by_test_id("undo").click()
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/by-hand")
    assert system.project("by-hand")["layers"][1]["filters"] == 4


PRESETS = {
    "digits": (10, 2_730), "mnist": (10, 10_666), "mnist-local": (10, 10_666), "cifar10": (10, 22_466),
    "residual": (10, 28_842), "four-conv": (10, 1_116_970), "linear": (10, 7_850), "hidden": (10, 42_310),
    "mnist-two": (10, 4_874), "cifar10-2015": (10, 10_306), "cifar100-a": (100, 40_396),
    "cifar100-b": (100, 175_812), "cifar100-c": (100, 163_908), "imagenet-a": (1000, 1_756_216),
}  # fmt: skip
"""Labels and parameters with so many; from `mnist-two` on, and `mnist`, as the prototype of 2015 had them."""


def test_every_preset_is_one_that_the_server_takes(owner: Page, system: Running) -> None:
    owner.get_by_test_id("new-project").click()
    expect(owner.get_by_test_id("project-name")).to_be_focused()
    presets = (
        owner.get_by_test_id("preset").locator("option:not([hidden])").evaluate_all("all => all.map(one => one.value)")
    )
    assert presets == [*PRESETS, "own"]
    for preset, (labels, parameters) in PRESETS.items():
        if not owner.get_by_role("dialog").is_visible():
            owner.goto(system.master)
            owner.get_by_test_id("new-project").click()
        owner.get_by_test_id("project-name").fill(f"Preset {preset}")
        owner.get_by_test_id("preset").select_option(preset)
        told = owner.get_by_test_id("network-total").inner_text()
        owner.get_by_test_id("create").click()
        owner.wait_for_url(f"**/project/preset-{preset}")
        made = system.project(f"preset-{preset}")
        assert plan(made["layers"], labels).size == parameters, preset
        assert told.startswith(f"{plan(made['layers'], 10).size:,} parameters with 10 labels"), preset
        assert made["settings"]["learning_rate"] >= 0.01
        assert made["settings"]["warmup"] > 0 or made["settings"]["local_steps"]


def test_local_steps_come_and_go_with_their_preset(owner: Page, system: Running) -> None:
    owner.get_by_test_id("new-project").click()
    for name, presets, local in (("Local", ["mnist-local"], True), ("Not local", ["mnist-local", "mnist"], False)):
        if not owner.get_by_role("dialog").is_visible():
            owner.goto(system.master)
            owner.get_by_test_id("new-project").click()
        owner.get_by_test_id("project-name").fill(name)
        for preset in presets:
            owner.get_by_test_id("preset").select_option(preset)
        owner.get_by_test_id("create").click()
        owner.wait_for_url(f"**/project/{name.lower().replace(' ', '-')}")
        settings = system.project(name.lower().replace(" ", "-"))["settings"]
        assert (settings["local_steps"], settings["optimizer"]) == (local, "sgd" if local else "adagrad")


def test_the_form_begins_with_the_cores_defaults(owner: Page) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_text("Training settings").click()
    core, of_preset = Settings().plain(), {"learning_rate", "warmup", "seed"}
    for optimizer in ("adam", "rmsprop"):
        owner.get_by_test_id("setting-optimizer").select_option(optimizer)
        owner.get_by_test_id("setting-local_steps").check()
        for field in owner.locator("[data-testid^=setting-]").all():
            key = str(field.get_attribute("data-testid")).removeprefix("setting-")
            if key in of_preset | {"optimizer", "local_steps"}:
                continue
            value = field.is_checked() if field.get_attribute("type") == "checkbox" else float(field.input_value())
            assert value == core[key], key


def test_how_a_layer_learns_is_chosen_at_its_creation(owner: Page, system: Running) -> None:
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("project-name").fill("Slow start")
    row = owner.get_by_test_id("layer-row").nth(1)
    row.locator(".editor-learning summary").click()
    row.get_by_label("Rate of Convolution 1, times the learning rate").fill("0.1")
    row.get_by_label("Rate of Convolution 1, times the learning rate").press("Tab")
    row.get_by_label("L2 decay of Convolution 1, times the L2 decay").fill("3")
    row.get_by_label("L2 decay of Convolution 1, times the L2 decay").press("Tab")
    row.get_by_label("Freeze Convolution 1").check()
    owner.get_by_text("Training settings").click()
    owner.get_by_test_id("setting-optimizer").select_option("adam")
    owner.get_by_test_id("setting-beta1").fill("0.8")
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/slow-start")
    made = system.project("slow-start")
    assert {key: made["layers"][1][key] for key in ("learning_rate", "l2", "frozen")} == {
        "learning_rate": 0.1, "l2": 3, "frozen": True
    }  # fmt: skip
    assert (made["settings"]["optimizer"], made["settings"]["beta1"]) == ("adam", 0.8)


def test_a_bad_upload_says_what_is_wrong(owner: Page, system: Running, archive: Path) -> None:
    made = system.owner.post("/api/projects", json={"name": "bad data", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    chooser = owner.get_by_test_id("upload-file")
    for name, data, said in (
        ("notes.txt", b"hello", "not a zip file"),
        ("fake.zip", b"hello", "zip"),
        ("empty.zip", make_zip({}), "no"),
    ):
        chooser.set_input_files({"name": name, "mimeType": "application/zip", "buffer": data})
        expect(owner.get_by_role("alert")).to_contain_text(re.compile(said, re.I))
    with zipfile.ZipFile(archive) as file:
        some = {name: file.read(name) for name in file.namelist()[:40]}
    mixed = make_zip({**some, "train/0/readme.txt": b"hello"})
    chooser.set_input_files({"name": "mixed.zip", "mimeType": "application/zip", "buffer": mixed})
    report = owner.get_by_test_id("upload-report")
    expect(report).to_contain_text("1 file was skipped")
    report.locator("summary").click()
    expect(report).to_contain_text("readme.txt")


def test_a_zip_can_be_dropped(owner: Page, system: Running, archive: Path) -> None:
    made = system.owner.post("/api/projects", json={"name": "dropped", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    expect(owner.locator(".drop")).to_be_visible()
    data = list(archive.read_bytes())
    transfer = owner.evaluate_handle(
        """bytes => {const dropped = new DataTransfer();
        dropped.items.add(new File([new Uint8Array(bytes)], "digits.zip")); return dropped;}""",
        data,
    )
    owner.dispatch_event(".drop", "dragenter", {"dataTransfer": transfer})
    expect(owner.get_by_text("Let go to upload")).to_be_visible()
    owner.dispatch_event(".drop", "drop", {"dataTransfer": transfer})
    expect(owner.get_by_test_id("upload-report")).to_contain_text("1,797 pictures")


def test_a_data_set_that_is_there_can_be_used_again(owner: Page, system: Running) -> None:
    made = system.owner.post("/api/projects", json={"name": "again", "layers": DIGITS_LAYERS}).json()
    owner.goto(f"{system.master}/project/{made['id']}")
    owner.get_by_test_id("existing-data").select_option(index=0)
    owner.get_by_test_id("use-existing").click()
    until(lambda: system.project(made["id"])["datasets"], "the project has data")
    expect(owner.get_by_test_id("upload-report")).to_be_visible()
