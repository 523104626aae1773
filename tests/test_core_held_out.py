"""The test set: which pictures it is, who may say how the network does on it, and what is not believed."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mlitb.core import messages as m
from mlitb.core.events import Attached, Broadcast, HeldBack, RecordTest, Wished
from mlitb.core.refusal import Refusal
from tests.core_world import Browser, World, manifest


def examined(owner: bool = True) -> tuple[World, Browser]:
    """Make a project with 20 held-back pictures, and a browser that evaluates."""
    world = World()
    world.create()
    world.feed_attach("c", ["a", "b"], [32], held_back=20)
    browser = world.connect(owner=owner)
    world.say(browser, m.Join("p", 1, "statistics"))
    return world, browser


def report(browser: Browser, **change: Any) -> m.Report:
    """Make a true report about what the browser was shown last."""
    shown, assign = browser.parameters["p"], browser.assigns[1]
    count = sum(shard.count for shard in assign.shards)
    counts = (
        (count // 2, count // 2, count // 2 - 1),
        (count - count // 2, count - count // 2, count - count // 2 - 1),
    )
    plain = m.Report(1, assign.assignment, shown.iteration, shown.version, count, 2, 7.5, counts)
    return replace(plain, **change)


def recorded(world: World) -> list[dict[str, Any]]:
    return [effect.figures for effect in world.trail if isinstance(effect, RecordTest)]


def test_a_statistics_worker_gets_what_was_held_back() -> None:
    world, browser = examined()
    assert [shard.count for shard in browser.assigns[1].shards] == [20]
    assert browser.assigns[1].shards[0].labels == (0, 1)
    assert world.master.project("p")["test"]["counts"] == {"a": 10, "b": 10}
    shown = [effect for effect in world.trail if isinstance(effect, Broadcast)]
    assert [effect.tested for effect in shown] == [True]


def test_a_report_is_kept_and_shown() -> None:
    world, browser = examined()
    world.say(browser, report(browser))
    assert [(row["iteration"], row["error"], row["loss"]) for row in recorded(world)] == [(0, 0.1, 0.375)]
    status = world.master.status("p", world.now)
    assert (status.test_vectors, status.test_iteration, status.test_error, status.test_loss) == (20, 0, 0.1, 0.375)
    assert world.master.project("p")["test"]["last"]["labels"] == [[10, 10, 9], [10, 10, 9]]


FORGED: dict[str, tuple[Callable[[m.Report], m.Report], int, str]] = {
    "future": (lambda r: replace(r, iteration=r.iteration + 1), 422, "has not begun"),
    "never shown": (lambda r: replace(r, iteration=-3), 409, "were not shown"),
    "of another network": (lambda r: replace(r, version=r.version + 1), 409, "were not shown"),
    "another test set": (lambda r: replace(r, assignment=r.assignment + 1), 409, "the test set changed"),
    "too few": (lambda r: replace(r, count=19), 422, "the test set has 20"),
    "too many wrong": (lambda r: replace(r, wrong=21), 422, "21 wrong of 20"),
    "less than none wrong": (lambda r: replace(r, wrong=-1), 422, "-1 wrong of 20"),
    "not a number": (lambda r: replace(r, loss=float("nan")), 422, "the loss nan"),
    "infinite": (lambda r: replace(r, loss=float("inf")), 422, "the loss inf"),
    "negative loss": (lambda r: replace(r, loss=-1.0), 422, "the loss -1"),
    "beyond any loss": (lambda r: replace(r, loss=1e300), 422, "the loss 1e\\+300"),
    "counts of other labels": (lambda r: replace(r, labels=r.labels[:1]), 422, "counts of 1 labels"),
    "more right than there are": (lambda r: replace(r, labels=((10, 10, 18), (10, 10, 0))), 422, "do not add up"),
    "counts that do not add up": (lambda r: replace(r, labels=((9, 10, 9), (10, 10, 9))), 422, "do not add up"),
    "negative counts": (lambda r: replace(r, labels=((10, 10, 19), (10, 10, -1))), 422, "do not add up"),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_what_cannot_be_true_changes_nothing(forgery: str) -> None:
    world, browser = examined()
    forge, status, sentence = FORGED[forgery]
    before = world.master.project("p")
    world.say(browser, forge(report(browser)))
    assert recorded(world) == []
    assert world.master.project("p")["test"] == before["test"]
    refused = browser.refused[-1]
    assert (refused.status, refused.about, refused.worker) == (status, "Report", 1)
    assert re.search(sentence, refused.reason), refused.reason


def test_only_the_owners_browsers_report() -> None:
    world, browser = examined(owner=False)
    world.say(browser, report(browser))
    assert recorded(world) == []
    assert browser.refused[-1].status == 403
    assert world.master.counters["Report 403"] == 1
    owner = world.connect(owner=True)
    world.say(owner, report(browser))
    assert (owner.refused[-1].status, owner.refused[-1].reason) == (404, "you have no worker 1")
    world.join(owner, 2)
    world.say(owner, report(browser, worker=2))
    assert "only statistics workers report" in owner.refused[-1].reason


def test_one_report_an_iteration_and_none_about_an_older_one() -> None:
    world, browser = examined()
    trainer = world.worker()
    first = report(browser)
    world.answer(trainer)
    world.close()
    world.say(browser, m.Ready(1, 0, ()))
    second = report(browser)
    assert second.iteration == first.iteration + 1
    world.say(browser, second)
    assert len(recorded(world)) == 1
    for late in (second, first):
        world.say(browser, late)
        assert recorded(world) == []
        assert browser.refused[-1].status == 409


def test_a_slow_evaluation_is_believed_as_long_as_its_snapshot_was_shown_to_this_worker() -> None:
    world, browser = examined()
    world.join(browser, 2)  # trains beside: every broadcast comes to this browser
    first = report(browser)
    for _ in range(5):
        world.answer(browser)
        world.close()
    world.say(browser, first)
    assert [row["iteration"] for row in recorded(world)] == [first.iteration]


def test_a_reboot_and_new_labels_make_earlier_reports_late() -> None:
    world, browser = examined()
    before = report(browser)
    world.say(browser, before)
    world.control("reboot")
    world.step()
    assert world.master.status("p", world.now).test_error == -1
    world.say(browser, before)
    assert recorded(world) == []
    world.say(browser, m.Ready(1, 0, ()))
    older = report(browser)
    world.feed_attach("more", ["c"], [16], held_back=6)
    world.step()
    world.say(browser, older)
    assert recorded(world) == []
    assert [shard.labels for shard in browser.assigns[1].shards] == [(0, 1), (2,)]
    assert browser.networks["p"].labels == ("a", "b", "c")


def test_a_test_set_of_its_own_with_labels_that_the_network_does_not_know() -> None:
    world, browser = examined()
    world.feed(HeldBack("p", "upload", manifest("own", ["b", "z"], [30, 11])))
    view = world.master.project("p")["test"]
    assert (view["part"], view["dataset"], view["vectors"]) == ("upload", "d-own", 21)
    assert (view["counts"], view["unknown"]) == ({"b": 21}, {"z": 20})
    assert [shard.labels for shard in browser.assigns[1].shards] == [(1, -1), (1, -1)]
    number = browser.assigns[1].assignment
    world.feed_attach("more", ["z"], [16])
    world.step()
    assert world.master.project("p")["test"]["counts"] == {"b": 21, "z": 20}
    assert browser.assigns[1].assignment > number
    assert browser.assigns[1].shards[0].labels == (1, 2)


def test_of_an_upload_with_a_test_folder_only_that_is_the_test_set() -> None:
    world, browser = examined()
    world.feed(HeldBack("p", "upload", manifest("own", ["a", "b"], [30], held_back=8)))
    assert [shard.count for shard in browser.assigns[1].shards] == [8]


@pytest.mark.parametrize(("part", "vectors"), [("auto", 20), ("test", 20), ("validation", 7), ("none", 0)])
def test_the_parts_that_a_project_may_be_tested_on(part: str, vectors: int) -> None:
    world = World()
    world.create()
    both = manifest("c", ["a", "b"], [32], held_back=20)
    both["validation"] = {"vectors": 7, "shards": manifest("v", ["a", "b"], [7])["shards"]}
    world.feed(Attached("p", both))
    world.step()
    world.feed(HeldBack("p", part))
    view = world.master.project("p")["test"]
    assert (view["wished"], view["vectors"]) == (part, vectors)
    assert bool(view["identity"]) == bool(vectors)


def test_without_a_test_folder_the_validation_split_is_taken() -> None:
    world = World()
    world.create()
    only = manifest("c", ["a", "b"], [32])
    only["validation"] = {"vectors": 7, "shards": manifest("v", ["a", "b"], [7])["shards"]}
    world.feed(Attached("p", only))
    world.step()
    assert world.master.project("p")["test"]["part"] == "validation"


@pytest.mark.parametrize(
    ("part", "own", "status", "sentence"),
    [
        ("everything", None, 422, "not on 'everything'"),
        ("upload", None, 422, "comes with a data set"),
        ("test", manifest("own", ["a"], [8]), 422, "comes with a data set"),
        ("upload", {"cut": "x"}, 422, "cannot be read"),
        ("upload", {**manifest("own", ["a"], [8]), "width": 5}, 409, "takes 4×4×1"),
        ("upload", manifest("c", ["a", "b"], [32]), 409, "cannot be both"),
    ],
)
def test_what_cannot_be_a_test_set_is_refused_and_changes_nothing(
    part: str, own: dict[str, Any] | None, status: int, sentence: str
) -> None:
    world, _ = examined()
    before = world.master.project("p")["test"]
    with pytest.raises(Refusal, match=sentence) as caught:
        world.feed(HeldBack("p", part, own))
    assert caught.value.status == status
    assert world.master.project("p")["test"] == before


def test_nobody_trains_on_the_test_set() -> None:
    world, _ = examined()
    own = manifest("own", ["a"], [8])
    world.feed(HeldBack("p", "upload", own))
    with pytest.raises(Refusal, match="cannot be both"):
        world.feed(Attached("p", own))
    world.feed(HeldBack("p", "auto"))
    world.feed(Attached("p", own))
    world.step()
    assert "d-own" in world.master.project("p")["datasets"]


def test_a_project_that_goes_forgets_it_all() -> None:
    world, browser = examined()
    true = report(browser)
    world.feed(Wished("p", "remove", {}))
    world.say(browser, true)
    assert browser.refused[-1].status == 404
