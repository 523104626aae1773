"""Allocation: capacity, the pie-cutter, strides, cached shards, rotation, huge crowds."""

from hypothesis import given
from hypothesis import strategies as st

from mlitb.core.allocation import Holder, Pool, Stock
from mlitb.core.work import Piece
from tests.core_world import World

MB = 10**6


def stocks(count: int, size: int = 10) -> list[Stock]:
    return [Stock(f"{i:08x}" * 8, "c", size, 1000, (0,)) for i in range(count)]


def holder(number: int, vectors: int = 3000, weight: float = 1.0, cached: set[str] | None = None) -> Holder:
    return Holder((number, 1), vectors, 100 * MB, cached if cached is not None else set(), weight)


def pool_of(shards: int, holders: int, size: int = 10, vectors: int = 3000) -> tuple[Pool, list[Holder]]:
    pool, members = Pool(), [holder(i, vectors) for i in range(holders)]
    pool.stock(stocks(shards, size))
    for member in members:
        pool.enter(member)
    return pool, members


def covered(pool: Pool) -> list[tuple[str, int]]:
    """List every vector that somebody holds, once for each holder."""
    found = []
    for h in pool.holders.values():
        for shard in h.assigned():
            piece = Piece(shard.hash, shard.count, shard.offset, shard.step)
            found += [(shard.hash, piece.offset + piece.step * i) for i in range(piece.size)]
    return found


def test_the_first_gets_everything_it_has_room_for() -> None:
    pool, [only] = pool_of(10, 1, vectors=55)
    assert only.vectors == 50
    assert len(pool.unowned) == 5


def test_a_newcomer_cuts_its_slice_of_the_pie() -> None:
    _, [a, b, c] = pool_of(12, 3)
    assert sorted((a.vectors, b.vectors, c.vectors)) == [40, 40, 40]


def test_the_pie_is_cut_by_power() -> None:
    pool, [a] = pool_of(20, 1)
    strong = holder(7, weight=3.0)
    pool.enter(strong)
    assert (a.vectors, strong.vectors) == (50, 150)


def test_what_is_cached_is_preferred() -> None:
    pool = Pool()
    shards = stocks(10)
    pool.stock(shards)
    kept = {shards[8].hash, shards[3].hash}
    member = holder(1, vectors=20, cached=kept)
    pool.enter(member)
    assert set(member.shards) == kept
    pool.enter(other := holder(2))
    pool.leave(member.key)
    pool.enter(back := holder(3, vectors=20, cached=kept))
    assert set(back.shards) == kept
    assert len(other.shards) == 8


def test_more_trainers_than_shards_share_them_on_strides() -> None:
    pool, members = pool_of(2, 7)
    assert all(member.vectors >= 1 for member in members)
    assert len(covered(pool)) == len(set(covered(pool))) == 20


def test_a_leaver_gives_everything_back_at_once() -> None:
    pool, [a, b] = pool_of(10, 2)
    pool.leave(a.key)
    pool.settle()
    assert b.vectors == 100
    assert pool.unowned == {}


def test_a_smaller_capacity_gives_shards_back_but_keeps_one() -> None:
    pool, [a] = pool_of(10, 1)
    pool.resize(a, 35, 100 * MB)
    assert a.vectors == 30
    pool.resize(a, 1, 1)
    assert a.vectors == 10


def test_an_imbalance_is_evened_out_one_shard_at_a_time() -> None:
    pool, [a, b] = pool_of(20, 2)
    a.weight = 9.0
    pool.reweigh()
    for _ in range(20):
        pool.even_out()
    assert a.load() <= 2 * b.load()
    assert b.load() <= 2 * a.load()
    assert a.vectors + b.vectors == 200


@given(
    st.integers(1, 30),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(1, 200), st.floats(0.1, 100)), max_size=25),
    st.data(),
)
def test_whatever_happens_vectors_are_disjoint_and_none_is_lost_while_there_is_room(
    shards: int, size: int, members: list[tuple[int, float]], data: st.DataObject
) -> None:
    pool = Pool()
    pool.stock(stocks(shards, size))
    for number, (capacity, weight) in enumerate(members):
        pool.enter(holder(number, capacity, weight))
        if data.draw(st.booleans()):
            pool.leave(data.draw(st.sampled_from(sorted(pool.holders))))
        pool.settle()
        pool.even_out()
        everything = covered(pool)
        assert len(everything) == len(set(everything))
        assert len(everything) == size * (shards - len(pool.unowned))
        assert not any(h.room(stock) for h in pool.holders.values() for stock in pool.unowned.values())


def test_ten_thousand_trainers_all_get_something() -> None:
    _, members = pool_of(469, 10_000, size=128)
    assert sum(not member.vectors for member in members) == 0
    assert sum(member.vectors for member in members) == 469 * 128
    assert max(member.vectors for member in members) <= 4 * 6


def test_one_worker_with_little_room_sees_all_the_data() -> None:
    world = World()
    world.create(period=1.0, close_when_saturated=True)
    world.attach(counts=[20] * 30)
    browser = world.worker(capacity_vectors=100)
    pool = world.project().crew.pool
    rounds = 0
    while min(stock.trained for stock in pool.shards.values()) < 20 and rounds < 200:
        world.answer(browser)
        world.close()
        world.unpack(browser)
        rounds += 1
    assert rounds < 100
    assert max(s.trained for s in pool.shards.values()) <= 20 * 20


def test_a_trainer_that_has_not_been_round_keeps_its_shards() -> None:
    world = World()
    world.create(period=1.0)
    world.attach(counts=[20] * 30)
    browser = world.worker(capacity_vectors=100)
    before = browser.assigns[1]
    for _ in range(4):
        world.answer(browser, counts=20)
        world.close()
    assert browser.assigns[1] is before


def test_an_order_goes_on_where_the_last_one_stopped() -> None:
    world = World()
    world.create(period=1.0)
    world.attach()
    browser = world.worker()
    cursors = []
    for _ in range(4):
        cursors.append(browser.orders["p"].orders[0].cursor)
        world.answer(browser, counts=50)
        world.close()
    assert cursors == [0, 50, 100, 150]
