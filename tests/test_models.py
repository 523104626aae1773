"""A model leaves a project as JSON and begins another: round trip, going on, transfer, and files that are wrong.

One system serves all tests of this file; its project `digits` was trained for a few iterations and is paused.
"""

import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from mlitb import resources
from mlitb.cli import main
from mlitb.core import network
from mlitb.core.messages import Orders, Parameters
from mlitb.core.optimizer import Hyper
from mlitb.model import Model
from mlitb.modelfile import MAX_BYTES, parse
from mlitb.models import LARGE as LARGE_FILE
from mlitb.vectors import Vectors
from tests import models
from tests.client import ENGINE, Client, Volunteer, volunteering
from tests.data_server import zips
from tests.running import Running, running, until

jsonschema = pytest.importorskip("jsonschema", reason="it reads the schema")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def system(folder: Path) -> Iterator[Running]:
    with running(folder / "data") as started:
        change = started.owner.patch("/api/projects/digits", json={"period": 0.3, "decay": 0.9, "decay_interval": 1})
        assert change.is_success
        train(started, "digits", 10)
        yield started


def train(system: Running, project: str, iterations: int) -> None:
    """Start a project, train it for some iterations, and pause it."""
    first = system.iteration(project)
    system.owner.post(f"/api/projects/{project}/start").raise_for_status()
    with volunteering(Volunteer(system.port, project, system.data_server, alone=False)):
        until(lambda: system.iteration(project) >= first + iterations, "it trains", 60)
    system.owner.post(f"/api/projects/{project}/pause").raise_for_status()
    until(lambda: system.project(project)["status"]["state"] == "paused", "it rests")


def download(system: Running, project: str = "digits", **query: int) -> dict[str, Any]:
    answer = system.visitor.get(f"/api/projects/{project}/model.json", params=query)
    assert answer.is_success, answer.text
    found: dict[str, Any] = answer.json()
    return found


def upload(system: Running, text: str | bytes, **query: Any) -> httpx.Response:
    return system.owner.post("/api/projects/from-model", content=text, params=query)


def made(system: Running, text: str, **query: Any) -> str:
    """Make a project from a model file; return its id."""
    answer = upload(system, text, **query)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def read(document: dict[str, Any]) -> Model:
    return parse(json.dumps(document), ENGINE)[0]


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


# --------------------------------------------------------------------------------------------- out and in again
def test_what_the_system_writes_is_valid_by_the_schema_that_it_serves(system: Running) -> None:
    schema = system.visitor.get("/api/schemas/model-1.json")
    assert schema.json() == json.loads(resources.schema("model-1").read_text())
    validator = jsonschema.Draft202012Validator(schema.json())
    validator.check_schema(schema.json())
    document = download(system, optimizer=1)
    validator.validate(document)
    assert list(document["optimizer"]["slots"]) == ["squares"]
    assert document["optimizer"]["steps"] == document["iteration"]
    assert [row["iteration"] for row in document["history"]] == list(range(document["iteration"]))
    assert len(document["data"][0]["manifest"]) == 64
    assert "optimizer" not in download(system)
    layers = schema.json()["$defs"]["layer"]["properties"]
    assert layers["type"]["enum"] == list(network.TYPES)
    assert set(layers) == {key for keys in network.KEYS.values() for key in keys} | network.COMMON_KEYS
    document["layers"][1]["units"] = 3
    assert not validator.is_valid(document), "a conv layer has no units"


def test_a_project_from_a_file_has_equal_bits_and_what_people_said_of_it(system: Running) -> None:
    said = {"description": "Ziffern", "author": "A. N. Other", "licence": "CC-BY-4.0"}
    assert system.owner.put("/api/projects/digits/about", json=said).json()["about"] == said
    before = download(system, optimizer=1)
    assert {key: before[key] for key in said} == said
    project = made(system, json.dumps(before), name="again")
    after = download(system, project, optimizer=1)
    assert after.pop("name") == "again"
    assert after.pop("data") == []  # it has none yet
    assert after.pop("figures") == {}
    assert after == {key: before[key] for key in after}
    assert read(after | {"name": "", "figures": {}}).parameters.tobytes() == read(before).parameters.tobytes()
    assert system.project(project)["status"]["state"] == "paused"
    actions = system.owner.get("/api/audit", params={"project": project}).json()
    assert actions[0]["action"] == "create"


def test_a_model_goes_on_with_its_optimizer_where_it_stood(system: Running) -> None:
    document = download(system, optimizer=1)
    project, before = made(system, json.dumps(document), name="goes on"), read(document)
    dataset = system.project("digits")["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{project}/data", json={"dataset": dataset}).raise_for_status()
    system.owner.post(f"/api/projects/{project}/start").raise_for_status()
    with Client(system.port) as client:
        client.join(project, system.data_server)
        orders = client.wait(Orders)
        answer, outcome = client.compute(orders)
        assert client.parameters[1].tobytes() == before.parameters.tobytes()
        client.send(answer, outcome.gradient)
        client.wait(Parameters)
        new = client.parameters[1]
    assert orders.iteration == before.iteration
    plan = network.plan(before.layers, 10)
    hyper = {key: value for key, value in before.settings.items() if key in Hyper().plain()}
    expected = Vectors()
    expected.restore({"parameters": before.parameters, **before.state}, 10)
    assert outcome.gradient is not None
    assert before.learning_rate is not None
    for _ in expected.add(outcome.gradient):
        pass
    parsed = Hyper.parse({**hyper, "multipliers": network.multipliers(plan)})
    for _ in expected.step(parsed, outcome.count, before.learning_rate, lambda *_: None):
        pass
    assert new.tobytes() == expected.parameters.tobytes(), "state and decayed rate were used"
    system.owner.post(f"/api/projects/{project}/pause").raise_for_status()


def test_the_loss_curve_is_continuous(system: Running) -> None:
    document = download(system, optimizer=1)
    old = [row["loss"] for row in document["history"]]
    project = made(system, json.dumps(document), name="curve")
    dataset = system.project("digits")["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{project}/data", json={"dataset": dataset}).raise_for_status()
    train(system, project, 4)
    rows = system.visitor.get(f"/api/projects/{project}/history").json()
    assert [row["iteration"] for row in rows] == list(range(len(rows)))
    losses = [row["loss"] for row in rows]
    assert losses[: len(old)] == old
    assert len(losses) >= len(old) + 4
    assert losses[len(old)] < 1.2 * old[-1] < 0.6 * old[0], (
        "it still falls where the old curve ended, and never jumps up"
    )
    again = download(system, project, optimizer=1)
    assert again["iteration"] >= document["iteration"] + 4
    assert again["history"][: len(old)] == document["history"]


def test_a_model_can_be_taken_while_it_trains(system: Running) -> None:
    project = made(system, json.dumps(download(system, optimizer=1)), name="busy")
    dataset = system.project("digits")["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{project}/data", json={"dataset": dataset}).raise_for_status()
    system.owner.post(f"/api/projects/{project}/start").raise_for_status()
    first = system.iteration(project)
    with volunteering(Volunteer(system.port, project, system.data_server, alone=False)):
        found: list[Model] = []
        while len({model.iteration for model in found}) < 4:
            found.append(read(download(system, project, optimizer=1)))
    system.owner.post(f"/api/projects/{project}/pause").raise_for_status()
    assert found[0].iteration >= first
    for model in found:
        assert model.state["step"][0] == model.iteration
    by_iteration: dict[int, bytes] = {}
    for model in found:
        assert by_iteration.setdefault(model.iteration, model.parameters.tobytes()) == model.parameters.tobytes()


def test_a_project_is_created_from_a_file_on_the_command_line(system: Running, folder: Path) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(download(system, optimizer=1)))
    done = cli("project", "create", "by hand", "--model", path, "--data-dir", folder / "data")
    assert done.exit_code == 0, done.output
    assert f"by-hand stands at iteration {system.iteration()} with 10 labels" in done.output
    said = cli("project", "describe", "by-hand", "--author", "me", "--data-dir", folder / "data")
    assert "author: me" in said.output


def test_a_large_file_is_read_beside_the_master(system: Running) -> None:
    layers = (
        {**INPUT, "width": 32, "height": 32},
        {"type": "fully_connected", "units": 1000},
        *models.trained().layers[-2:],
    )
    network_ = ENGINE.network(layers, 10, 1)
    model = replace(models.trained(), layers=layers, parameters=network_.initial(3))
    text = models.text_of(model)
    assert len(text) > LARGE_FILE
    project = made(system, text, name="large")
    assert read(download(system, project)).parameters.tobytes() == model.parameters.tobytes()
    answer = upload(system, text.replace('"iteration": 75', '"iteration": -1'))
    assert (answer.status_code, answer.json()["detail"][:15]) == (422, '"iteration" is ')


def test_a_visitor_may_not_make_or_describe_projects(system: Running) -> None:
    text = json.dumps(download(system))
    answers = [
        system.visitor.post("/api/projects/from-model", content=text),
        system.visitor.post("/api/projects/digits/transfer", json={"name": "x"}),
        system.visitor.put("/api/projects/digits/about", json={"author": "x"}),
    ]
    assert [answer.status_code for answer in answers] == [403] * 3


# ---------------------------------------------------------------------------------------------------- bad files
def changed(path: str, value: Any) -> bytes:
    document = json.loads(models.text_of(models.trained()))
    place = document
    *parents, last = path.split("/")
    for parent in parents:
        place = place[parent]
    place[last] = value
    return json.dumps(document).encode()


LARGE = ({"type": "fully_connected", "units": 65_536}, {"type": "fully_connected", "units": 4096}, {"type": "softmax"})
INPUT = {"type": "input", "width": 8, "height": 8, "channels": 1}
BAD = {
    "not JSON": (b"{", "the file is not JSON"),
    "not text": (b"\xff\xfe\x00", "it is not text in UTF-8"),
    "another JSON": (b"[1]", "the file is not an MLitB model"),
    "wrong version": (changed("version", 2), "the model has version 2; this MLitB reads version 1"),
    "shapes that disagree": (
        changed("parameters/conv1.weights/shape", [3, 3, 1, 15]),
        "'conv1.weights' has shape [3, 3, 1, 15], the network needs [3, 3, 1, 16]",
    ),
    "NaN parameters": (
        changed("parameters/conv1.bias/data", [float("nan")] * 16),
        "'conv1.bias' holds values that are not finite",
    ),
    "NaN in the history": (changed("history", [{"loss": float("nan")}]), '"history" holds nan'),
    "unknown layer": (
        changed("layers", [INPUT, {"type": "attention"}, {"type": "softmax"}]),
        "unknown type 'attention'",
    ),
    "labels that disagree with outputs": (
        changed("labels", ["a", "b"]),
        "the labels disagree with the outputs: 2 labels, fully_connected4 has 10",
    ),
    "a label twice": (changed("labels", [*"0123456788"]), "names '8' twice"),
    "an unknown optimizer state": (
        changed("optimizer", {"steps": 1, "slots": {"magic": {}}}),
        "the optimizer's state 'magic' is unknown",
    ),
    "optimizer state that does not fit": (
        changed("optimizer", {"steps": 1, "slots": {"squares": {}}}),
        "optimizer: squares: the parameters 'conv1.weights' are missing",
    ),
    "a file of 2015 with maxout": (
        json.dumps(
            {
                "configs": [{"type": "input", "sx": 8, "sy": 8, "depth": 1}, {"type": "maxout"}],
                "params": [],
                "index2label": {"0": "a"},
            }
        ).encode(),
        "maxout1: a layer of type 'maxout' cannot be represented",
    ),
    "too many parameters": (changed("layers", [INPUT, *LARGE]), f"more than {network.MAX_PARAMETERS:,} parameters"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_its_sentence(system: Running, folder: Path, name: str) -> None:
    data, sentence = BAD[name]
    count = len(system.visitor.get("/api/projects").json())
    answer = upload(system, data, name="bad")
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    path = folder / "bad.json"
    path.write_bytes(data)
    for done in (
        cli("predict", path, path),
        cli("project", "create", "--model", path, "--data-dir", folder / "data"),
    ):
        assert done.exit_code == 1
        assert sentence in done.stderr
    assert len(system.visitor.get("/api/projects").json()) == count


def test_settings_that_no_project_may_have_are_refused(system: Running) -> None:
    answer = upload(system, changed("hyper_parameters", {"magic": 1}), name="bad")
    assert (answer.status_code, answer.json()["detail"]) == (422, "there is no setting 'magic'")


def test_two_gigabytes_are_refused_by_their_length(system: Running, folder: Path) -> None:
    length = 2 << 30
    with socket.create_connection(("127.0.0.1", system.port)) as connection:
        head = f"POST /api/projects/from-model HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {system.token}\r\n"
        connection.sendall(f"{head}Content-Length: {length}\r\n\r\n{{".encode())  # and no more: it is not waited for
        connection.settimeout(30)
        sentence, answer = f"has {length:,} bytes; the largest model file has {MAX_BYTES:,}", ""
        while sentence not in answer:
            received = connection.recv(65536)
            assert received, answer
            answer += received.decode()
    assert answer.startswith("HTTP/1.1 413")
    path = folder / "large.json"
    with path.open("wb") as file:
        file.truncate(length)
    for done in (
        cli("predict", path, path),
        cli("evaluate", path, path),
        cli("project", "create", "--model", path, "--data-dir", folder / "data"),
    ):
        assert done.exit_code == 1
        assert sentence in done.stderr


def test_a_body_that_hides_its_length_is_refused_when_it_is_too_long(system: Running) -> None:
    piece = b" " * (1 << 20)
    answer = system.owner.post("/api/projects/from-model", content=(piece for _ in range((MAX_BYTES >> 20) + 2)))
    assert answer.status_code == 413


def test_a_project_with_too_many_parameters_is_refused_however_it_is_made(system: Running, folder: Path) -> None:
    layers = [INPUT, *LARGE]
    answer = system.owner.post("/api/projects", json={"name": "large", "layers": layers})
    assert answer.status_code == 422
    assert f"more than {network.MAX_PARAMETERS:,} parameters" in answer.json()["detail"]
    path = folder / "layers.json"
    path.write_text(json.dumps(layers))
    done = cli("project", "create", "large", "--layers", path, "--data-dir", folder / "data")
    assert done.exit_code == 1
    assert f"more than {network.MAX_PARAMETERS:,} parameters" in done.stderr


# ----------------------------------------------------------------------------------------------------- transfer
def blocks(system: Running, project: str) -> dict[str, bytes]:
    """Return a project's parameters by name, as bytes; none while it has no model."""
    answer = system.visitor.get(f"/api/projects/{project}/model.json")
    if answer.status_code == 409:  # it is being rebooted
        return {}
    model = read(answer.raise_for_status().json())
    return {
        tensor.name: model.parameters[tensor.offset : tensor.stop].tobytes()
        for tensor in network.plan(model.layers, len(model.labels)).tensors
    }


@pytest.fixture(scope="module")
def parity(system: Running) -> str:
    """Upload the digits under two new labels; return the data set's id."""
    pixels, labels = models.digits()
    names = ("even", "odd")
    files = {f"{names[label % 2]}/{n:04}.png": models.png(pixels[n, :, :, 0]) for n, label in enumerate(labels[:600])}
    return str(system.upload(zips.make_zip(files), name="parity").json()["id"])


def test_a_project_is_taught_other_labels_and_frozen_layers_keep_their_bits(system: Running, parity: str) -> None:
    answer = system.owner.post("/api/projects/digits/transfer", json={"name": "parity", "freeze": ["conv1"]})
    assert answer.status_code == 201, answer.text
    view = answer.json()
    assert (view["labels"], view["iteration"], view["status"]["state"]) == ([], 0, "paused")
    assert view["layers"][1]["frozen"] is True
    system.owner.post(f"/api/projects/{view['id']}/data", json={"dataset": parity}).raise_for_status()
    until(lambda: system.project(view["id"])["labels"] == ["even", "odd"], "the labels are admitted")
    before = blocks(system, view["id"])
    train(system, view["id"], 4)
    source, after = blocks(system, "digits"), blocks(system, view["id"])
    for name in ("conv1.weights", "conv1.bias"):
        assert after[name] == source[name] == before[name]
    assert after["fully_connected4.weights"] != before["fully_connected4.weights"]
    assert len(after["fully_connected4.bias"]) == 2 * 4
    system.owner.post(f"/api/projects/{view['id']}/reboot").raise_for_status()
    until(lambda: blocks(system, view["id"]) == before, "a reboot goes back to what it began with")


def test_layers_that_are_not_frozen_begin_with_the_model_and_learn_on(
    system: Running, parity: str, folder: Path
) -> None:
    path = folder / "source.json"
    path.write_text(json.dumps(download(system)))
    done = cli("project", "create", "learns", "--model", path, "--transfer", "--data-dir", folder / "data")
    assert "learns stands without labels yet" in done.output
    system.owner.post("/api/projects/learns/data", json={"dataset": parity}).raise_for_status()
    until(lambda: system.project("learns")["labels"], "the labels are admitted")
    source = blocks(system, "digits")
    assert blocks(system, "learns")["conv1.weights"] == source["conv1.weights"]
    train(system, "learns", 2)
    assert blocks(system, "learns")["conv1.weights"] != source["conv1.weights"]
    assert "frozen" not in system.project("learns")["layers"][1]


@pytest.mark.parametrize(
    ("freeze", "sentence"),
    [
        (["conv9"], "there is no layer 'conv9' to freeze"),
        (["relu2"], "relu2 has no parameters: there is nothing to freeze"),
        (["fully_connected4"], "fully_connected4 is the last layer, which begins anew"),
    ],
)
def test_what_cannot_be_frozen_is_named(system: Running, folder: Path, freeze: list[str], sentence: str) -> None:
    answer = system.owner.post("/api/projects/digits/transfer", json={"name": "x", "freeze": freeze})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
    done = cli("project", "transfer", "digits", "x", "--freeze", ",".join(freeze), "--data-dir", folder / "data")
    assert done.exit_code == 1
    assert sentence in done.stderr


# ------------------------------------------------------------------------------------------------------- exports
def test_a_projects_model_is_given_in_every_form(system: Running) -> None:
    forms = system.visitor.get("/api/export").json()
    assert {row["form"] for row in forms} >= {"safetensors", "card", "html"}
    begins = {"safetensors": b"", "card": b"# digits", "html": b"<!doctype html>", "onnx": b""}
    for row in forms:
        answer = system.visitor.get(f"/api/projects/digits/export/{row['form']}")
        assert answer.is_success, answer.text
        assert answer.content.startswith(begins[row["form"]])
        assert f'filename="digits-{system.iteration()}.' in answer.headers["content-disposition"]
    answer = system.visitor.get("/api/projects/digits/export/magic")
    assert (answer.status_code, answer.json()["detail"][:26]) == (404, "there is no form 'magic'; ")


def test_a_project_without_data_has_no_model_to_give(system: Running) -> None:
    layers = [INPUT, {"type": "fully_connected"}, {"type": "softmax"}]
    project = system.owner.post("/api/projects", json={"name": "bare", "layers": layers}).json()["id"]
    for path in ("model.json", "export/card"):
        answer = system.visitor.get(f"/api/projects/{project}/{path}")
        assert answer.status_code == 409
        assert answer.json()["detail"] == "this project has no model yet: give it data first"
    answer = system.owner.post(f"/api/projects/{project}/transfer", json={"name": "x"})
    assert answer.status_code == 409
