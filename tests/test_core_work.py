"""Work orders: the golden files, and what makes the permutation one."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mlitb.core.work import Piece, Stream, at, keyed, members, micro_batch_of, mix, permutation, vector_key

GOLDEN = json.loads((Path(__file__).parent / "golden/work.json").read_text())
HASH = "89abcdef" + "0" * 56

u32 = st.integers(0, 2**32 - 1)
pieces = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 7), st.integers(1, 8)).map(lambda t: Piece(HASH, *t)),
    min_size=1,
    max_size=6,
).filter(lambda some: sum(piece.size for piece in some) > 0)


def test_golden_numbers_are_mixed() -> None:
    for row in GOLDEN["keyed"]:
        assert keyed(*row["parts"]) == row["value"]


def test_golden_permutations() -> None:
    for row in GOLDEN["permutations"]:
        assert permutation(row["seed"], row["turn"], row["size"]).tolist() == row["values"]


def test_golden_orders() -> None:
    for row in GOLDEN["orders"]:
        stream = Stream([Piece(**shard) for shard in row["shards"]], row["seed"])
        assert stream.size == row["size"]
        assert [[v.piece, v.index, v.key] for v in stream.take(row["cursor"], row["count"])] == row["vectors"]


def test_golden_walks() -> None:
    for row in GOLDEN["walks"]:
        order = GOLDEN["orders"][row["orders"]]
        stream = Stream([Piece(**shard) for shard in order["shards"]], order["seed"])
        assert [[v.piece, v.index, v.key] for v in stream.walk(row["cursor"], row["count"])] == row["vectors"]


@given(u32, st.integers(0, 2**40), st.integers(1, 3000))
def test_a_permutation_holds_every_number_once(seed: int, turn: int, size: int) -> None:
    assert np.array_equal(np.sort(permutation(seed, turn, size)), np.arange(size))


@given(u32, u32, st.integers(1, 3000), st.data())
def test_a_position_can_be_looked_up_alone(seed: int, turn: int, size: int, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, size - 1))
    assert at(seed, turn, size, np.array([position], np.uint32))[0] == permutation(seed, turn, size)[position]


@given(pieces, u32, st.integers(0, 2**45), st.data())
def test_an_order_uses_no_vector_twice_and_all_when_it_goes_round(
    some: list[Piece], seed: int, cursor: int, data: st.DataObject
) -> None:
    stream = Stream(some, seed)
    count = data.draw(st.integers(0, stream.size))
    taken = [(v.piece, v.index) for v in stream.take(cursor, count)]
    everything = [(i, k) for i, p in enumerate(some) for k in range(p.offset, p.count, p.step)]
    assert len(set(taken)) == count
    assert set(taken) <= set(everything)
    assert sorted((v.piece, v.index) for v in stream.take(cursor, stream.size)) == everything


@given(pieces, u32, st.data())
def test_two_orders_go_on_where_the_first_stopped(some: list[Piece], seed: int, data: st.DataObject) -> None:
    stream = Stream(some, seed)
    first = data.draw(st.integers(0, stream.size))
    assert [*stream.take(0, first), *stream.take(first, stream.size - first)] == [*stream.take(0, stream.size)]


def test_turns_and_seeds_shuffle_anew() -> None:
    orders = {tuple(permutation(seed, turn, 50)) for seed in range(20) for turn in range(20)}
    assert len(orders) == 400


def test_every_number_is_as_likely_at_every_position() -> None:
    for size in (5, 16, 37):
        runs = 4000
        table = np.zeros((size, size))
        for seed in range(runs):
            table[np.arange(size), permutation(seed, 0, size)] += 1
        expected = runs / size
        chi_squared = ((table - expected) ** 2 / expected).sum()
        freedom = (size - 1) ** 2
        assert chi_squared < freedom + 5 * (2 * freedom) ** 0.5  # five standard deviations


def test_neighbours_do_not_stay_neighbours() -> None:
    size, runs = 64, 500
    steps = Counter(int(d) for seed in range(runs) for d in np.diff(permutation(seed, 3, size).astype(np.int64)))
    assert steps[1] / (runs * (size - 1)) < 1.3 / size
    assert steps[-1] / (runs * (size - 1)) < 1.3 / size


@given(u32, u32)
def test_mixing_loses_nothing(a: int, b: int) -> None:
    assert (mix(a) == mix(b)) == (a == b)


@given(st.integers(1, 300), st.integers(1, 20))
def test_strides_share_a_shard_without_overlap(count: int, step: int) -> None:
    assert sum(members(count, offset, step) for offset in range(step)) == count


def test_keys_wrap_around() -> None:
    assert vector_key("ffffffff" + "0" * 56, 3) == 2


def test_micro_batches_take_at_most_a_twentieth_of_the_budget() -> None:
    assert micro_batch_of(4000, 1.0) == 16
    assert micro_batch_of(4000, 13.0) == 4
    assert micro_batch_of(4000, 60.0) == 1
