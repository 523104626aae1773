"""The test set of a real system: chosen over REST, evaluated by an owner's connection, kept over a restart."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlitb import pixels
from mlitb.core.messages import Assign, Join, Parameters, Ready, Refused, Report
from tests.client import Client, Volunteer, volunteering
from tests.running import Running, running, until


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("held-out"), "--checkpoint", "iteration") as started:
        started.owner.patch("/api/projects/digits", json={"period": 0.2}).raise_for_status()
        yield started


def pictures(labels: dict[str, int], split: str = "") -> bytes:
    """Make a zip of label folders with so many different pictures each."""
    out, rng = io.BytesIO(), np.random.default_rng(sum(labels.values()))
    with zipfile.ZipFile(out, "w") as archive:
        for label, count in labels.items():
            for number in range(count):
                image = rng.integers(0, 256, (8, 8, 1), np.uint8)
                archive.writestr(f"{split}{label}/{number}.png", pixels.encode_png(image))
    return out.getvalue()


def choose(system: Running, part: str, dataset: str = "") -> Any:
    body = {"part": part, "dataset": dataset} if dataset else {"part": part}
    return system.owner.put("/api/projects/digits/test", json=body)


@contextmanager
def evaluator(system: Running, token: str) -> Iterator[tuple[Client, Assign]]:
    """Join as a statistics worker; give it with its test set when the first snapshot is there."""
    with Client(system.port, token=token) as client:
        client.send(Join("digits", 1, "statistics"))
        assign = client.wait(Assign)
        client.wait(Parameters)
        yield client, assign


def true_report(client: Client, assign: Assign, wrong: int = 36) -> Report:
    """Make a report about the newest snapshot that came."""
    head, _ = client.parameters
    return Report(1, assign.assignment, head.iteration, head.version, 360, wrong, 90.0)


def evaluations(system: Running) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = system.visitor.get("/api/projects/digits/tests").json()
    return rows


def test_the_demo_is_tested_on_the_digits_that_it_holds_back(system: Running) -> None:
    test = system.project()["test"]
    assert (test["wished"], test["part"], test["vectors"]) == ("auto", "test", 360)
    assert sorted(test["counts"]) == [str(digit) for digit in range(10)]
    assert system.project()["status"]["test_vectors"] == 360


def test_the_owners_report_is_kept_and_a_volunteers_is_not(system: Running) -> None:
    with evaluator(system, "") as (visitor, assign):
        assert sum(shard.count for shard in assign.shards) == 360
        visitor.send(true_report(visitor, assign))
        refused = visitor.wait(Refused)
        assert (refused.status, refused.about) == (403, "Report")
        assert evaluations(system) == []
    with evaluator(system, system.token) as (owner, assign):
        owner.send(true_report(owner, assign))
        until(lambda: evaluations(system), "the report is kept")
        row = evaluations(system)[0]
        assert (row["iteration"], row["error"], row["loss"], row["count"]) == (0, 0.1, 0.25, 360)
        owner.send(true_report(owner, assign))
        assert owner.wait(Refused).status == 409
    assert len(evaluations(system)) == 1
    assert system.project()["status"]["test_error"] == 0.1


def test_the_best_checkpoint_follows_the_test_error_and_outlives_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data) as system:
        system.owner.patch("/api/projects/digits", json={"period": 0.2}).raise_for_status()
        volunteer = volunteering(Volunteer(system.port, "digits", system.data_server, alone=False))
        with volunteer, evaluator(system, system.token) as (owner, assign):
            reported = {}
            for wrong in (180, 30, 90, 60):
                head, _ = owner.parameters
                owner.send(true_report(owner, assign, wrong))
                reported[head.iteration] = wrong / 360
                owner.send(Ready(1, assign.assignment, ()))
                owner.wait(Parameters)
            until(lambda: len(evaluations(system)) == 4, "all are kept")
        system.owner.post("/api/projects/digits/pause").raise_for_status()
        before = evaluations(system)
    assert {row["iteration"]: row["error"] for row in before} == reported
    best = min(reported, key=lambda iteration: reported[iteration])
    with running(data) as system:
        assert evaluations(system) == before
        rows = system.visitor.get("/api/projects/digits/checkpoints").json()
        assert [(row["iteration"], row["test_error"]) for row in rows if row["best"]] == [(best, 30 / 360)]
        assert system.visitor.get(f"/api/projects/digits/checkpoints/{best}.safetensors").is_success
        assert system.project()["test"]["part"] == "test"


def test_a_test_set_of_its_own_is_used_kept_and_given_back(system: Running) -> None:
    report = system.upload(pictures({"3": 20, "7": 10, "cat": 5})).json()
    view = choose(system, "upload", report["id"]).json()
    assert (view["test"]["part"], view["test"]["vectors"], view["test"]["dataset"]) == ("upload", 30, report["id"])
    assert (view["test"]["counts"], view["test"]["unknown"]) == ({"3": 20, "7": 10}, {"cat": 5})
    assert evaluations(system) == [], "figures of another test set are not compared"
    uses = system.visitor.get(f"{system.data_server}/datasets/{report['id']}").json()["uses"]
    assert uses == ["digits"]
    audit = system.owner.get("/api/audit").json()[0]
    assert (audit["action"], audit["detail"]) == ("test", {"part": "upload", "dataset": report["id"]})
    assert choose(system, "auto").json()["test"]["vectors"] == 360
    assert system.visitor.get(f"{system.data_server}/datasets/{report['id']}").json()["uses"] == []


@pytest.mark.parametrize(
    ("part", "dataset", "status", "sentence"),
    [
        ("upload", "", 422, "dataset: name one"),
        ("auto", "d1", 422, "none with the others"),
        ("everything", "", 422, "part: "),
        ("upload", "d999", 404, "no data set"),
        ("upload", "../secret", 404, "no data set"),
    ],
)
def test_a_wish_that_cannot_be_is_refused(system: Running, part: str, dataset: str, status: int, sentence: str) -> None:
    before = system.project()["test"]
    answer = choose(system, part, dataset)
    assert (answer.status_code, sentence in answer.json()["detail"]) == (status, True), answer.json()
    assert system.project()["test"] == before


def test_what_is_trained_on_cannot_be_the_test_set(system: Running) -> None:
    plain = system.upload(pictures({"3": 20, "7": 30})).json()
    system.owner.post("/api/projects/digits/data", json={"dataset": plain["id"]}).raise_for_status()
    until(lambda: len(system.project()["datasets"]) == 2, "it is admitted")
    answer = choose(system, "upload", plain["id"])
    assert (answer.status_code, "cannot be both" in answer.json()["detail"]) == (409, True)
    assert system.visitor.get(f"{system.data_server}/datasets/{plain['id']}").json()["uses"] == ["digits"]


def test_a_visitor_chooses_nothing(system: Running) -> None:
    assert system.visitor.put("/api/projects/digits/test", json={"part": "none"}).status_code == 403
