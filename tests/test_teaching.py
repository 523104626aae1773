"""Teaching over the real servers: who may, what becomes of the pictures, what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.data_server.zips import make_zip, picture
from tests.running import Running, running, until


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("data")) as started:
        yield started


def png(seed: int) -> bytes:
    return picture(seed, 11, 9)  # not the network's own size


def teach(client: httpx.Client, project: str, files: dict[str, bytes]) -> httpx.Response:
    return client.post(f"/api/projects/{project}/pictures", content=make_zip(files))


def project(system: Running, name: str, **last: Any) -> str:
    """Make a paused project with the digits as its data."""
    layers = [
        {"type": "input", "width": 8, "height": 8, "channels": 1},
        {"type": "fully_connected", **last},
        {"type": "softmax"},
    ]
    made = system.owner.post("/api/projects", json={"name": name, "layers": layers}).json()["id"]
    dataset = system.project("digits")["datasets"][0]["dataset"]
    system.owner.post(f"/api/projects/{made}/data", json={"dataset": dataset}).raise_for_status()
    until(lambda: grown(system, made, 10), "its data is there")
    return str(made)


def test_taught_pictures_become_data_vectors_and_new_labels_outputs(system: Running) -> None:
    name = project(system, "taught")
    before = system.project(name)
    answer = teach(system.owner, name, {"clock/1.png": png(1), "3/2.png": png(2), "3/no.png": b"no picture"})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["added"], [left["name"] for left in told["left_out"]]) == (2, ["3/no.png"])
    assert told["data_vectors"] == before["status"]["data_vectors"] + 2
    view = until(lambda: grown(system, name, 11), "the network grew")
    assert view["labels"] == [*before["labels"], "clock"]
    assert view["status"]["data_vectors"] == told["data_vectors"]
    assert view["datasets"][0] == before["datasets"][0], "the owner's data stays as it was uploaded"
    again = [teach(system.owner, name, {f"bell/{n}.png": png(100 + n)}).json() for n in range(17)]
    assert [one["added"] for one in again] == [1] * 17
    view = until(lambda: grown(system, name, 12), "the network grew again")
    until(lambda: system.project(name)["status"]["data_vectors"] == told["data_vectors"] + 17, "merged, not doubled")
    assert [len(view["datasets"]), again[-1]["dataset"]] == [2, told["dataset"]]
    report = httpx.get(f"{system.data_server}/datasets/{told['dataset']}", trust_env=False).json()
    assert (report["name"], report["images"], report["uses"]) == ("Taught to taught", 19, [name])


def grown(system: Running, name: str, labels: int) -> dict[str, Any] | None:
    view = system.project(name)
    return view if len(view["labels"]) == labels else None


def test_the_same_batch_twice_is_known(system: Running) -> None:
    name = project(system, "twice")
    files = {"new/a.png": png(7)}
    first, second = (teach(system.owner, name, files).json() for _ in range(2))
    assert (first["added"], second["added"], second["known"]) == (1, 0, True)
    other = teach(system.owner, project(system, "other"), files).json()
    assert other["dataset"] != first["dataset"], "each project's taught pictures are its own"


def test_visitors_teach_only_where_the_owner_lets_them(system: Running) -> None:
    name = project(system, "visited")
    files = {"new/a.png": png(8)}
    refused = teach(system.visitor, name, files)
    assert (refused.status_code, "let volunteers" in refused.json()["detail"]) == (403, True)
    assert len(system.project(name)["datasets"]) == 1
    system.owner.patch(f"/api/projects/{name}", json={"volunteers_teach": True}).raise_for_status()
    until(lambda: system.project(name)["settings"]["volunteers_teach"], "the setting holds")
    assert teach(system.visitor, name, files).status_code == 201
    row = system.owner.get("/api/audit", params={"project": name}).json()[0]
    assert (row["who"], row["action"]) == ("visitor", "pictures")
    many = [teach(system.visitor, name, {}).status_code for _ in range(8)]
    assert many[-1] == 429


def test_visitors_teach_a_bounded_number_of_labels(system: Running) -> None:
    name = project(system, "bounded")
    system.owner.patch(f"/api/projects/{name}", json={"volunteers_teach": True}).raise_for_status()
    until(lambda: system.project(name)["settings"]["volunteers_teach"], "the setting holds")
    for part in range(2):
        files = {f"label {number}/a.png": png(number) for number in range(95 * part, 95 * part + 95)}
        assert teach(system.owner, name, files).status_code == 201
    until(lambda: grown(system, name, 200), "the network grew")

    def visit(label: str) -> httpx.Response:
        def answered() -> list[httpx.Response]:
            answer = teach(system.visitor, name, {f"{label}/b.png": png(999)})
            return [] if answer.status_code == 429 else [answer]

        return until(answered, "the address has its turn")[0]

    refused = visit("one too many")
    assert (refused.status_code, "up to 200 labels in all" in refused.json()["detail"]) == (409, True)
    assert visit("label 3").status_code == 201


@pytest.mark.parametrize(
    ("files", "status", "words"),
    [
        pytest.param({}, 422, "a batch has 1 to 100 pictures, not 0", id="empty"),
        pytest.param({"new/a.png": b"no picture"}, 422, "no picture to train on", id="no-picture"),
        pytest.param({f"new/{n}.png": b"x" for n in range(101)}, 422, "not 101", id="too-many"),
    ],
)
def test_a_batch_that_cannot_be_taken_says_why(
    system: Running, files: dict[str, bytes], status: int, words: str
) -> None:
    answer = teach(system.owner, "digits", files)
    assert (answer.status_code, words in answer.json()["detail"]) == (status, True), answer.text
    assert len(system.project("digits")["datasets"]) == 1


def test_what_is_no_zip_and_a_project_without_data_get_their_sentences(system: Running) -> None:
    answer = system.owner.post("/api/projects/digits/pictures", content=b"hello")
    assert (answer.status_code, "must be a zip" in answer.json()["detail"]) == (422, True)
    layers = system.project("digits")["layers"]
    bare = [{key: value for key, value in layer.items() if key not in ("mean", "std")} for layer in layers]
    system.owner.post("/api/projects", json={"name": "bare", "layers": bare}).raise_for_status()
    answer = teach(system.owner, "bare", {"new/a.png": png(9)})
    assert (answer.status_code, "no pictures yet" in answer.json()["detail"]) == (409, True)


def test_a_label_without_an_output_is_refused_before_anything_is_stored(system: Running) -> None:
    name = project(system, "fixed", units=10)
    answer = teach(system.owner, name, {"eleventh/a.png": png(10)})
    assert (answer.status_code, "cannot learn 11 labels" in answer.json()["detail"]) == (422, True)
    assert len(system.project(name)["datasets"]) == 1
    assert teach(system.owner, name, {"9/a.png": png(10)}).status_code == 201


def test_taught_pictures_survive_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "data") as first:
        told = teach(first.owner, "digits", {"new/a.png": png(11)}).json()
        until(lambda: "new" in first.project()["labels"], "the network grew")
        ports = (first.port, first.data_port)
    with running(tmp_path / "data", demo=False, ports=ports) as second:
        assert second.project()["status"]["data_vectors"] == told["data_vectors"]
        more = teach(second.owner, "digits", {"new/b.png": png(12)}).json()
        assert (more["dataset"], more["data_vectors"]) == (told["dataset"], told["data_vectors"] + 1)
