"""The visual layer editor: what it computes is what the server computes, and every layer and option is made by hand."""

import json
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from benchmarks.engine import NETS
from mlitb.core.network import plan
from mlitb.core.refusal import Refusal
from mlitb.prototype import from_prototype
from tests import prototype_2015
from tests.running import Running
from tests.test_core_network import NETWORK_IN_NETWORK, RESIDUAL
from tests.test_core_network import PRESETS as OF_2015
from tests.test_engine_specs import EVERY_LAYER
from tests.test_prototype import NETS as NETS_2015

pytestmark = pytest.mark.usefixtures("at_projects")

Spec = dict[str, Any]
INPUT: Spec = {"type": "input", "width": 8, "height": 8, "channels": 3}
CONV: Spec = {"type": "conv", "filters": 4, "kernel": 3, "padding": 1}
RELU: Spec = {"type": "relu"}
FC: Spec = {"type": "fully_connected"}
SOFTMAX: Spec = {"type": "softmax"}
HEAD = [FC, SOFTMAX]

GOOD: dict[str, list[Spec]] = {
    "every layer": EVERY_LAYER,
    "residual": RESIDUAL,
    "network in network": NETWORK_IN_NETWORK,
    **{name: layers for name, (layers, _, _) in OF_2015.items()},
}
WRONG: dict[str, tuple[list[Spec], int]] = {
    "no such type": ([INPUT, {"type": "dense"}, *HEAD], 1),
    "no input": ([CONV, *HEAD], 0),
    "a second input": ([INPUT, INPUT, *HEAD], 1),
    "an empty picture": ([{**INPUT, "width": 0}, *HEAD], 0),
    "a loss in the middle": ([INPUT, SOFTMAX, *HEAD], 1),
    "no loss": ([INPUT, CONV, FC], 2),
    "a name twice": ([INPUT, {**CONV, "name": "a"}, {**RELU, "name": "a"}, *HEAD], 2),
    "two layers that grow": ([INPUT, FC, RELU, *HEAD], 3),
    "parameters after the growth": ([INPUT, FC, {"type": "fully_connected", "units": 3}, SOFTMAX], 2),
    "a kernel too large": ([INPUT, {**CONV, "kernel": 11}, *HEAD], 1),
    "no kernel": ([INPUT, {"type": "conv", "filters": 3}, *HEAD], 1),
    "half a filter": ([INPUT, {**CONV, "filters": 1.5}, *HEAD], 1),
    "no stride": ([INPUT, {**CONV, "stride": 0}, *HEAD], 1),
    "three sides": ([INPUT, {**CONV, "kernel": [3, 3, 3]}, *HEAD], 1),
    "padding like the kernel": ([INPUT, {**CONV, "padding": 3}, *HEAD], 1),
    "padding like one side of the kernel": ([INPUT, {**CONV, "kernel": [3, 1]}, *HEAD], 1),
    "no pool size": ([INPUT, {"type": "max_pool"}, *HEAD], 1),
    "drops everything": ([INPUT, {"type": "dropout", "rate": 1}, *HEAD], 1),
    "too steep": ([INPUT, {"type": "leaky_relu", "slope": 2}, *HEAD], 1),
    "groups of norm": ([INPUT, {"type": "group_norm", "groups": 2}, *HEAD], 1),
    "groups of maxout": ([INPUT, {"type": "maxout"}, *HEAD], 1),
    "adds what is not there": ([INPUT, CONV, {"type": "add", "from": "conv7"}, *HEAD], 2),
    "adds what comes later": ([INPUT, {"type": "add", "from": "conv2"}, CONV, *HEAD], 1),
    "adds another size": ([INPUT, CONV, {"type": "add", "from": "input0"}, *HEAD], 2),
    "a loss over pixels": ([INPUT, CONV, SOFTMAX], 2),
}
DESCRIBE = """async layers => {
  const {describe} = await import("/static/js/ui/shapes.js");
  const {problemsOf} = await import("/static/js/ui/making/checks.js");
  const rows = describe(layers, 7);
  return {rows, problems: problemsOf(rows)};
}"""


def test_sizes_and_parameters_are_the_servers(owner: Page) -> None:
    for name, layers in GOOD.items():
        found, planned = owner.evaluate(DESCRIBE, layers), plan(layers, 7)
        assert found["problems"] == [""] * len(layers), name
        for row, layer in zip(found["rows"], planned.layers, strict=True):
            assert row["name"] == layer.name
            assert row["shape"] == list(layer.output), (name, layer.name)
            assert row["parameters"] == sum(tensor.size for tensor in layer.tensors), (name, layer.name)
            assert row["macs"] == layer.macs, (name, layer.name)


def test_what_the_server_refuses_is_seen_at_its_layer_before(owner: Page) -> None:
    for name, (layers, index) in WRONG.items():
        with pytest.raises(Refusal):
            plan(layers, 7)
        problems = owner.evaluate(DESCRIBE, layers)["problems"]
        assert [place for place, said in enumerate(problems) if said][:1] == [index], (name, problems)


def test_a_skip_with_nothing_to_add_says_so(owner: Page) -> None:
    rows = editor(owner, "linear")
    owner.get_by_test_id("add-add").click()
    expect(rows.nth(1).get_by_role("alert")).to_contain_text("No earlier layer has the size 28×28×1")


def test_operations_and_memory_are_those_that_were_documented(owner: Page) -> None:
    """The three nets of the engine's benchmark: 1.44, 21.1 and 151.4 MFLOP a vector."""
    told = """async nets => {
      const {describe, flopsOf, bytesOf, sum} = await import("/static/js/ui/shapes.js");
      return nets.map(net => describe(net, 10)).map(rows => [sum(flopsOf(rows)), flopsOf(rows)[1], bytesOf(rows)[1]]);
    }"""
    found = owner.evaluate(told, list(NETS.values()))
    assert [round(flop / 1e6, places) for (flop, _, _), places in zip(found, (2, 1, 1), strict=True)] == [
        1.44,
        21.1,
        151.4,
    ]
    assert found[0][1:] == [4 * 28 * 28 * 25 * 16, 8 * 28 * 28 * 16], "of the first layer: no gradient of its input"


def test_each_layer_tells_what_it_costs(owner: Page, system: Running) -> None:
    rows = editor(owner, "mnist")
    conv = ["conv1", "416 parameters", "0.92 MFLOP", "73.7 KB"]
    expect(rows.nth(1).get_by_test_id("layer-figures").locator("span")).to_have_text(conv)
    expect(rows.nth(2).get_by_test_id("layer-figures").locator("span")).to_have_text(["relu2", "73.7 KB"])
    last = ["fully_connected4, one output per label", "10,250 parameters", "61 kFLOP", "80 B"]
    expect(rows.nth(4).get_by_test_id("layer-figures").locator("span")).to_have_text(last)
    expect(owner.get_by_test_id("network-total")).to_contain_text("0.98 MFLOP and 162 KB for each picture")
    owner.goto(f"{system.master}/project/digits")
    owner.locator("summary", has_text="Network").click()
    cells = owner.locator("table.layers tbody tr").nth(1).locator("td")
    expect(cells.nth(2)).to_have_text("160")
    expect(cells.nth(3)).to_have_text("37 kFLOP")
    expect(cells.nth(4)).to_have_text("8.2 KB")


def editor(owner: Page, preset: str) -> Locator:
    """Open the editor with a preset, and give its rows."""
    owner.get_by_test_id("new-project").click()
    owner.get_by_test_id("preset").select_option(preset)
    return owner.get_by_test_id("layer-row")


def test_a_skip_is_made_by_hand_and_follows_what_it_adds(owner: Page, system: Running) -> None:
    rows = editor(owner, "digits")
    owner.get_by_test_id("project-name").fill("Skips")
    owner.get_by_label("padding: Convolution 1").fill("1")
    owner.get_by_test_id("add-conv").click()
    owner.get_by_test_id("add-add").click()
    expect(rows.nth(5)).to_contain_text("Add (skip)")
    adds = owner.get_by_label("adds: Add (skip) 5")
    expect(adds).to_have_value("max_pool3")
    expect(adds.locator("option")).to_have_text(["Max-pool 3"])
    owner.get_by_test_id("add-tanh").click()
    owner.get_by_role("button", name="Move Tanh 6 up").click()
    owner.get_by_role("button", name="Move Tanh 5 up").click()
    owner.get_by_role("button", name="Move Tanh 4 up").click()
    adds = owner.get_by_label("adds: Add (skip) 6")
    expect(adds).to_have_value("max_pool4")
    owner.get_by_role("button", name="Move Max-pool 4 down").click()
    owner.get_by_role("button", name="Move Max-pool 5 down").click()
    expect(rows.nth(5).get_by_role("alert")).to_contain_text("must have the size 8×8×16")
    owner.get_by_test_id("undo").click()
    owner.get_by_test_id("undo").click()
    owner.get_by_role("button", name="Remove Max-pool 4").click()
    expect(rows.nth(5).get_by_role("alert")).to_contain_text("Choose which earlier layer is added")
    adds = owner.get_by_label("adds: Add (skip) 5")
    expect(adds.locator("option")).to_have_text(["choose …", "Tanh 3", "ReLU 2", "Convolution 1"])
    adds.select_option(label="ReLU 2")
    expect(rows.get_by_role("alert")).to_have_count(0)
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/skips")
    assert system.project("skips")["layers"][5] == {"type": "add", "from": "relu2"}


PALETTE: list[tuple[str, dict[str, str], Spec]] = [
    ("Convolution", {"filters": "6", "kernel": "3×1", "stride": "1", "padding": "1×0"},
     {"type": "conv", "filters": 6, "kernel": [3, 1], "stride": 1, "padding": [1, 0]}),
    ("ReLU", {}, {"type": "relu"}),
    ("Leaky ReLU", {"slope": "0.2"}, {"type": "leaky_relu", "slope": 0.2}),
    ("Group norm", {"groups": "3"}, {"type": "group_norm", "groups": 3}),
    ("Add (skip)", {"adds": "relu5"}, {"type": "add", "from": "relu5"}),
    ("Maxout", {"groups": "3"}, {"type": "maxout", "groups": 3}),
    ("Average pool", {"size": "2", "stride": "1", "padding": "1"},
     {"type": "average_pool", "size": 2, "stride": 1, "padding": 1}),
    ("Max-pool", {"size": "2×1", "stride": "2×1", "padding": "0"},
     {"type": "max_pool", "size": [2, 1], "stride": [2, 1], "padding": 0}),
    ("Tanh", {}, {"type": "tanh"}),
    ("Sigmoid", {}, {"type": "sigmoid"}),
    ("Dropout", {"rate": "0.25"}, {"type": "dropout", "rate": 0.25}),
    ("Global average pool", {}, {"type": "global_average_pool"}),
    ("Fully connected", {"units": "12"}, {"type": "fully_connected", "units": 12}),
]  # fmt: skip
"""Every layer that can be added, what is typed into each of its fields, and what the server gets."""


def test_every_layer_of_the_palette_is_added_and_each_option_typed(owner: Page, system: Running) -> None:
    rows = editor(owner, "digits")
    owner.get_by_test_id("project-name").fill("All layers")
    palette = owner.get_by_role("group", name="Add a layer").get_by_role("button")
    assert sorted(palette.all_inner_texts()) == sorted(kind for kind, _, _ in PALETTE)
    for place, (kind, options, spec) in enumerate(PALETTE, 4):
        owner.get_by_test_id(f"add-{spec['type']}").click()
        fields = rows.nth(place).locator(".editor-options").first.locator("label > span")
        expect(fields).to_have_text(list(options))
        for option, typed in options.items():
            field = owner.get_by_label(f"{option}: {kind} {place}", exact=True)
            if option == "adds":
                field.select_option(typed)
            else:
                field.fill(typed)
                field.press("Enter")
    expect(rows.get_by_role("alert")).to_have_count(0)
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/all-layers")
    assert system.project("all-layers")["layers"][4:-2] == [spec for _, _, spec in PALETTE]


def test_sizes_are_rounded_as_in_2015_until_it_is_said_otherwise(owner: Page) -> None:
    rows = editor(owner, "cifar10-2015")
    expect(rows.nth(3)).to_contain_text("14×14×12")
    rounding = owner.get_by_label("rounding: Max-pool 3", exact=True)
    expect(rounding).to_have_value("round")
    rounding.select_option("floor")
    expect(rows.nth(3)).to_contain_text("13×13×12")


def test_what_is_typed_wrong_is_said_at_once(owner: Page) -> None:
    rows = editor(owner, "digits")
    kernel = owner.get_by_label("kernel: Convolution 1")
    for typed, said in (("none", "whole number"), ("1.5", "whole number"), ("", "whole number"), ("9×20", "8×8×1")):
        kernel.fill(typed)
        kernel.press("Enter")
        expect(rows.nth(1).get_by_role("alert")).to_contain_text(said)
    kernel.fill("3")
    kernel.press("Enter")
    expect(rows.get_by_role("alert")).to_have_count(0)


def test_what_is_being_typed_stays_when_the_projects_are_read_again(owner: Page) -> None:
    editor(owner, "digits")
    for field in (owner.get_by_label("kernel: Convolution 1"), owner.get_by_label("Width", exact=True)):
        with owner.expect_response("**/api/projects"):  # asked for every few seconds while the form is open
            field.fill("5")
        owner.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        expect(field).to_have_value("5")
    owner.get_by_label("kernel: Convolution 1").press("Enter")
    owner.get_by_label("kernel: Convolution 1").press("Tab")
    owner.get_by_test_id("undo").click()
    expect(owner.get_by_label("kernel: Convolution 1")).to_have_value("5")
    owner.get_by_test_id("undo").click()
    expect(owner.get_by_label("kernel: Convolution 1")).to_have_value("3")


def opened(owner: Page, name: str, content: Any) -> None:
    """Open a file of layers in the form."""
    owner.get_by_test_id("layers-file").set_input_files(
        FilePayload(name=name, mimeType="application/json", buffer=json.dumps(content).encode())
    )


def test_a_json_file_is_edited_by_hand(owner: Page, system: Running) -> None:
    rows = editor(owner, "digits")
    owner.get_by_test_id("project-name").fill("From files")
    opened(owner, "list.json", [INPUT, {**CONV, "filters": 5}, RELU, *HEAD])
    expect(owner.get_by_test_id("preset")).to_have_value("edited")
    expect(rows).to_have_count(5)
    owner.get_by_test_id("undo").click()
    expect(rows).to_have_count(6)
    opened(owner, "model.json", {"labels": ["a"], "layers": [{**INPUT, "mean": [0], "std": [1]}, RELU, *HEAD]})
    expect(rows).to_have_count(4)
    opened(owner, "odd.json", {"layers": [{"kind": "conv"}]})
    expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text("odd.json holds no layers")
    expect(rows).to_have_count(4)
    owner.get_by_test_id("preset").select_option("own")
    json_text = owner.get_by_test_id("layers-json")
    assert json.loads(json_text.input_value()) == [INPUT, RELU, *HEAD]
    json_text.fill("[")
    expect(owner.get_by_test_id("to-editor")).to_be_disabled()
    json_text.fill(json.dumps([INPUT, {**CONV, "padding": 9}, *HEAD]))
    owner.get_by_test_id("to-editor").click()
    expect(rows.nth(1).get_by_role("alert")).to_contain_text("padding must be smaller")
    owner.get_by_label("padding: Convolution 1").fill("2")
    owner.get_by_label("padding: Convolution 1").press("Enter")
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/from-files")
    assert system.project("from-files")["layers"] == [INPUT, {**CONV, "padding": 2}, *HEAD]


def plain(layers: Any) -> list[Spec]:
    """Write layers in one way: sides that are equal as one number, no padding of 0, nothing that pixels taught."""
    rows = []
    for layer in layers:
        kept = {key: value for key, value in layer.items() if key not in ("mean", "std", "frozen", "padding")}
        kept |= {"padding": layer["padding"]} if layer.get("padding") else {}
        rows.append({key: both[0] if both == [both[0]] * 2 else both for key, both in sides(kept)})
    return rows


def sides(layer: Spec) -> list[tuple[str, Any]]:
    """Give a layer's options, those that have no sides as if they had two."""
    return [(key, value if isinstance(value, list) else [value] * 2) for key, value in layer.items()]


def test_a_file_of_2015_gives_the_layers_that_its_model_has(owner: Page, system: Running) -> None:
    read = """async found => {
      const {confsIn, layersOf2015} = await import("/static/js/ui/making/prototype.js");
      return layersOf2015(confsIn(found));
    }"""
    for name, confs in NETS_2015.items():
        file = prototype_2015.file_of(confs, ["a", "b", "c", "d"])
        assert plain(owner.evaluate(read, file)) == plain(from_prototype(file).layers), name
    assert owner.evaluate(read, [{"type": "input", "conf": {"sx": 9, "sy": 8, "depth": 1}}, {"type": "fc", "conf": {}}])
    rows = editor(owner, "digits")
    owner.get_by_test_id("project-name").fill("Of 2015")
    file = prototype_2015.file_of(NETS_2015["windows over the edge"], ["a", "b", "c", "d"])
    opened(owner, "strange.json", {**file, "configs": [*file["configs"], {"type": "fc", "activation": "wave"}]})
    expect(owner.get_by_role("dialog").get_by_role("alert")).to_contain_text("called wave")
    opened(owner, "old.json", {"step": 41, "net": file})
    expect(rows).to_have_count(6)
    expect(rows.get_by_role("alert")).to_have_count(0)
    owner.get_by_test_id("create").click()
    owner.wait_for_url("**/project/of-2015")
    assert plain(system.project("of-2015")["layers"]) == plain(from_prototype(file).layers)
