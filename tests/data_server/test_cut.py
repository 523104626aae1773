"""Cuts: the mix of labels in every shard, sizes, and what a shard's bytes depend on."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_server.cut import (
    MAX_BYTES,
    MAX_VECTORS,
    MIN_VECTORS,
    Spec,
    cut_id,
    groups,
    held_back,
    mixed_order,
    read_shard,
    write_shard,
)
from tests.data_server.zips import picture

SPEC = Spec(8, 8, 1, "crop")
label_counts = st.lists(st.integers(1, 400), min_size=1, max_size=12)


def _labels(counts: list[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.repeat(np.arange(len(counts)), counts)


@given(counts=label_counts, seed=st.integers(0, 2**32 - 1))
def test_every_stretch_has_the_whole_mix(counts: list[int], seed: int) -> None:
    labels = _labels(counts)
    order = mixed_order(labels, seed)
    assert sorted(order.tolist()) == list(range(len(labels)))
    for group in groups(order, np.full(len(labels), 500)):
        found = np.bincount(labels[group], minlength=len(counts))
        expected = np.array(counts) * len(group) / len(labels)
        # A label's vectors are evenly spaced on a line, and a shard is a piece of it, up to the others' jitter.
        assert np.abs(found - expected).max() <= 2 + len(counts) * max(counts) / len(labels) / 2


@pytest.mark.parametrize("n", [1437, 8000, 50_000])
def test_ordinary_cuts_have_an_even_mix(n: int) -> None:
    labels = np.sort(np.arange(n) % 10)  # ordered by class, as folders are
    for group in groups(mixed_order(labels, 3), np.full(n, 2_000)):
        counts = np.bincount(labels[group], minlength=10)
        assert counts.max() - counts.min() <= 3


@settings(deadline=None)
@given(n=st.integers(1, 3000), size=st.integers(60, 60_000), seed=st.integers(0, 9))
def test_shards_are_neither_too_small_nor_too_large(n: int, size: int, seed: int) -> None:
    lengths = np.random.default_rng(seed).integers(size // 2, size + 1, n)
    made = groups(np.arange(n), lengths)
    assert np.concatenate(made).tolist() == list(range(n))
    for group in made:
        assert len(group) <= MAX_VECTORS
        assert lengths[group].sum() < MAX_BYTES
        assert len(group) >= min(n, MIN_VECTORS) or lengths.max() * 2 * MIN_VECTORS > MAX_BYTES * 0.9
    if n > 200:
        assert len(made) >= 10, "small data is cut finely enough to share"


def test_the_largest_shard_that_is_planned_fits_a_megabyte() -> None:
    """The room that `groups` leaves for headers is enough for the zip that `write_shard` makes of it."""
    for length in (70, 400, 3_500, 62_000, 700_000):
        n = 600
        labels = np.full(n, 9_999)
        for group in groups(np.arange(n), np.full(n, length))[:2]:
            pngs = (bytes(length) for _ in group)
            shard, data = write_shard("c" * 21, SPEC, labels[group].tolist(), 10_000, pngs)
            assert len(data) == shard.bytes <= MAX_BYTES


def test_no_vectors_no_shards() -> None:
    assert groups(np.arange(0), np.arange(0)) == []


def test_the_order_is_the_seeds() -> None:
    labels = _labels([50, 50])
    assert (mixed_order(labels, 1) == mixed_order(labels, 1)).all()
    assert (mixed_order(labels, 1) != mixed_order(labels, 2)).any()


@given(counts=label_counts, share=st.floats(0, 0.9))
def test_validation_takes_its_share_of_every_label_and_never_all(counts: list[int], share: float) -> None:
    labels = _labels(counts)
    chosen = np.bincount(labels[held_back(labels, share, 0)], minlength=len(counts))
    for held, count in zip(chosen, counts, strict=True):
        assert held == min(round(count * share), count - 1)


def test_a_shard_is_a_zip_that_any_tool_opens() -> None:
    pngs = [picture(number) for number in range(20)]
    shard, data = write_shard("c1", SPEC, [0, 1] * 10, 3, iter(pngs))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", *(f"{number:04}.png" for number in range(20))]
    head, files = read_shard(data)
    assert (head["labels"], files, shard.labels) == ([0, 1] * 10, pngs, (10, 10, 0))
    again, same = write_shard("c1", SPEC, [0, 1] * 10, 3, iter(pngs))
    assert (again, same) == (shard, data)


def test_a_cuts_name_tells_all_that_makes_it() -> None:
    names = {
        cut_id(["a"], [{}], ["x"], SPEC),
        cut_id(["b"], [{}], ["x"], SPEC),
        cut_id(["a"], [{"x": "y"}], ["x"], SPEC),
        cut_id(["a"], [{}], ["y"], SPEC),
        cut_id(["a"], [{}], ["x"], Spec(8, 8, 1, "fit")),
        cut_id(["a"], [{}], ["x"], Spec(8, 8, 1, "crop", seed=1)),
        cut_id(["a"], [{}], ["x"], Spec(8, 8, 1, "crop", duplicates="drop")),
    }
    assert len(names) == 7
