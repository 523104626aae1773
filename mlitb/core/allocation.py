"""Which trainer holds which shards: capacity, the pie-cutter, several holders on strides, rotation.

Rules of this file:
- The unit is the shard. Its holders share it on disjoint strides (offset i, step n): what they compute is disjoint.
- Capacity counts whole shards, since a holder unpacks them whole; a trainer may always hold one.
- An unowned shard goes to whoever has room, before anything else. Without unowned ones, a newcomer gets shards or
  slices from those who hold most per unit of weight (power × intensity): the paper's pie-cutter.
- What a browser has cached is preferred. If capacity is below the data, shards rotate at a bounded rate, least-trained
  first.
- Whoever's list or strides change is put into `changed`; the project tells them when it suits.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush, nsmallest

from mlitb.core.messages import Shard
from mlitb.core.work import members

SAMPLE = 64
"""How many holders a newcomer's cut looks at: all in small projects, a bounded effort in huge ones."""

ROTATIONS_PER_CLOSE = 32
"""Shards exchanged at one close, all trainers together: each is a download."""

ROTATED_PART = 8
"""One trainer exchanges an eighth of its shards at once, so that most of its data stays at work meanwhile."""

IMBALANCE = 2.0
"""Load per unit of weight may differ by this factor before shards move between trainers that both have some."""

Key = tuple[int, int]
"""Client and worker."""


@dataclass(slots=True)
class Stock:
    """One shard of the project's data, who holds it (the position is the stride's offset), how much it was trained."""

    hash: str
    cut: str
    count: int
    bytes: int
    labels: tuple[int, ...]
    holders: list["Holder"] = field(default_factory=list)
    trained: float = 0.0  # vectors of it that were in accepted answers

    def share(self, position: int) -> int:
        """Count the vectors of the holder at a position."""
        return members(self.count, position, len(self.holders))

    def splits(self) -> bool:
        """Tell whether one more holder would still get a vector."""
        return self.count > len(self.holders)


@dataclass(slots=True, eq=False)
class Holder:
    """One trainer as the allocation sees it."""

    key: Key
    capacity_vectors: int
    capacity_bytes: int
    cached: set[str]  # the browser's, shared by its trainers
    weight: float = 1.0  # power × intensity, relative to others
    shards: dict[str, Stock] = field(default_factory=dict)
    vectors: int = 0  # its strides
    whole_vectors: int = 0  # the shards it holds, whole
    bytes: int = 0
    place: int = -1  # in the pool's ring

    def room(self, stock: Stock) -> bool:
        """Tell whether a shard fits; the first always does."""
        fits = (
            self.whole_vectors + stock.count <= self.capacity_vectors
            and self.bytes + stock.bytes <= self.capacity_bytes
        )
        return fits or not self.shards

    def load(self) -> float:
        """Give vectors per unit of weight."""
        return self.vectors / self.weight

    def assigned(self) -> tuple[Shard, ...]:
        """Describe what it holds, for Assign."""
        return tuple(
            Shard(s.hash, s.cut, s.count, s.bytes, s.labels, s.holders.index(self), len(s.holders))
            for s in self.shards.values()
        )


class Pool:
    """A project's shards and those who hold them."""

    def __init__(self) -> None:
        self.shards: dict[str, Stock] = {}
        self.holders: dict[Key, Holder] = {}
        self.unowned: dict[str, Stock] = {}
        self.hungry: dict[Key, Holder] = {}  # hold nothing
        self.changed: dict[Key, Holder] = {}
        self.vectors = 0
        self.weight = 0.0  # of all holders
        self._ring: list[Holder] = []  # those who hold something, to sample from
        self._shares = 0  # of all shards together
        self._turn = 0
        self._settled = 0

    # ------------------------------------------------------------------------------------------ who and what
    def stock(self, shards: Iterable[Stock]) -> None:
        """Take in new data; nobody holds it yet."""
        for shard in shards:
            assert shard.hash not in self.shards, f"shard {shard.hash} is there already"
            self.shards[shard.hash] = self.unowned[shard.hash] = shard
            self.vectors += shard.count

    def renew(self, gone: Iterable[str], shards: Iterable[Stock]) -> None:
        """Put a newer version's shards in the place of the older one's; who holds what both have goes on holding it."""
        new = {shard.hash: shard for shard in shards}
        for hash_ in gone:
            if hash_ in new:
                self.shards[hash_].labels = new.pop(hash_).labels
                self.changed.update((holder.key, holder) for holder in self.shards[hash_].holders)
            else:
                self._discard(hash_)
        self.stock(new.values())

    def _discard(self, hash_: str) -> None:
        stock = self.shards.pop(hash_)
        for holder in list(stock.holders):
            self._take(holder, stock)
        del self.unowned[hash_]
        self.vectors -= stock.count

    def enter(self, holder: Holder) -> None:
        """Let a trainer in and give it shards."""
        assert holder.key not in self.holders, f"{holder.key} holds already"
        self.holders[holder.key] = self.hungry[holder.key] = holder
        self.weight += holder.weight
        self.changed[holder.key] = holder
        self.feed(holder)

    def leave(self, key: Key) -> None:
        """Take a trainer out; what it held goes back at once."""
        holder = self.holders.pop(key)
        self.weight -= holder.weight
        for stock in list(holder.shards.values()):
            self._take(holder, stock)
        self.changed.pop(key, None)
        del self.hungry[key]

    def reweigh(self) -> None:
        """Add up the weights anew, after they were changed to what trainers have shown."""
        self.weight = sum(holder.weight for holder in self.holders.values())

    def mean_weight(self) -> float:
        """Give what a newcomer is taken for until it has shown its power."""
        return self.weight / len(self.holders) if self.holders else 1.0

    def resize(self, holder: Holder, capacity_vectors: int, capacity_bytes: int) -> None:
        """Change a trainer's capacity; what no longer fits goes back, the last first."""
        holder.capacity_vectors, holder.capacity_bytes = capacity_vectors, capacity_bytes
        for stock in reversed(list(holder.shards.values())):
            over = holder.whole_vectors > capacity_vectors or holder.bytes > capacity_bytes
            if not over or len(holder.shards) == 1:
                return
            self._take(holder, stock)

    # -------------------------------------------------------------------------------------------- allocation
    def feed(self, holder: Holder) -> None:
        """Give a trainer unowned shards as far as it has room, else slices from those who hold most."""
        for stock in self._wanted(holder):
            if holder.room(stock):
                self._give(holder, stock)
        donors = self._sample(holder) if self._shares < self.vectors else []
        share = self._fair(holder)
        donors.sort(key=Holder.load)
        while donors and holder.vectors < share:
            if not self._cut(donors[-1], holder):
                donors.pop()
                continue
            donors = [donor for donor in donors if len(donor.shards) > 1]  # who has one shard gives to the hungry only
            donors.sort(key=Holder.load)  # nearly sorted: one sank

    def settle(self) -> None:
        """Leave no shard unowned while there is room and no trainer empty while there is data."""
        if self.unowned:
            self._spread()
        for holder in list(self.hungry.values()):
            if self._shares < self.vectors:
                self.feed(holder)

    def rotate(self, ready: Iterable[Holder]) -> None:
        """Exchange a part of what these trainers (who have been round) hold for unowned, less trained shards."""
        least = nsmallest(ROTATIONS_PER_CLOSE, self.unowned.values(), key=lambda s: s.trained)
        for holder in ready:
            for _ in range(1 + len(holder.shards) // ROTATED_PART):
                if least and holder.shards:
                    self._rotate(holder, least)

    def _rotate(self, holder: Holder, least: list[Stock]) -> None:
        fresh = min(least, key=lambda s: (s.trained, s.hash not in holder.cached))
        tired = max(holder.shards.values(), key=lambda s: s.trained)
        if tired.trained > fresh.trained:
            least.remove(fresh)
            self._take(holder, tired)
            if holder.room(fresh):
                self._give(holder, fresh)

    def _wanted(self, holder: Holder) -> list[Stock]:
        return sorted(self.unowned.values(), key=lambda s: (s.hash not in holder.cached, s.trained))

    def _fair(self, holder: Holder) -> float:
        return min(holder.capacity_vectors, self.vectors * holder.weight / self.weight)

    def _sample(self, holder: Holder) -> list[Holder]:
        """Look at a bounded number of the others, going round so that all get their turn."""
        start = self._turn if self._turn < len(self._ring) else 0
        self._turn = start + SAMPLE
        window = self._ring[start : start + SAMPLE]
        window += self._ring[: min(start, SAMPLE - len(window))]
        return [h for h in window if h is not holder]

    def _cut(self, donor: Holder, taker: Holder) -> bool:
        """Move one whole shard, or share one, from donor to taker; False when that would only turn the tables."""
        stock = next(_movable(donor, taker), None)
        if stock is None:
            return False
        size = stock.share(stock.holders.index(donor))
        if (
            len(donor.shards) > 1
            and (taker.vectors + size) / taker.weight <= (donor.vectors - size) / donor.weight * IMBALANCE
        ):
            self._take(donor, stock)
        elif taker.shards or not stock.splits():
            return False
        self._give(taker, stock)
        return True

    def _spread(self) -> None:
        """Give unowned shards to those with room: to who has it cached, else to the poorest."""
        count, size = min(s.count for s in self.unowned.values()), min(s.bytes for s in self.unowned.values())
        smallest = Stock("", "", count, size, ())
        roomy = [holder for holder in self.holders.values() if holder.room(smallest)]
        for holder in roomy:
            for hash_ in sorted(self.unowned.keys() & holder.cached):
                if holder.room(self.unowned[hash_]):
                    self._give(holder, self.unowned[hash_])
        heap = [(h.load(), h.key) for h in roomy]
        heapify(heap)
        for stock in sorted(self.unowned.values(), key=lambda s: s.trained):
            full = []
            while heap and not self.holders[heap[0][1]].room(stock):
                full.append(heappop(heap))
            if heap:
                holder = self.holders[heappop(heap)[1]]
                self._give(holder, stock)
                heappush(heap, (holder.load(), holder.key))
            for entry in full:
                heappush(heap, entry)

    def even_out(self) -> None:
        """Move a bounded number of shards from those who hold most per unit of weight to those who hold least."""
        self._settled += 1
        if self.unowned or self._settled % (1 + len(self.holders) // SAMPLE):
            return  # among many, seldom: a look at all costs more than the imbalance
        fed = [h for h in self.holders.values() if h.shards]
        moves = 1 + len(fed) // 32
        fed.sort(key=Holder.load)
        for poor, rich in zip(fed[:moves], reversed(fed[-moves:]), strict=False):
            if poor is not rich and rich.load() > IMBALANCE * poor.load():
                self._cut(rich, poor)

    # ------------------------------------------------------------------------------- the two elementary moves
    def _give(self, holder: Holder, stock: Stock) -> None:
        assert stock.hash not in holder.shards, f"{holder.key} has shard {stock.hash} already"
        self._uncount(stock)
        stock.holders.append(holder)
        holder.shards[stock.hash] = stock
        self._shares += 1
        if self.hungry.pop(holder.key, None):
            holder.place = len(self._ring)
            self._ring.append(holder)
        holder.whole_vectors += stock.count
        holder.bytes += stock.bytes
        self.unowned.pop(stock.hash, None)
        self._count(stock)

    def _take(self, holder: Holder, stock: Stock) -> None:
        self._uncount(stock)
        stock.holders.remove(holder)
        del holder.shards[stock.hash]
        self._shares -= 1
        if not holder.shards:
            self.hungry[holder.key] = holder
            last = self._ring.pop()
            if last is not holder:
                self._ring[holder.place], last.place = last, holder.place
        holder.whole_vectors -= stock.count
        holder.bytes -= stock.bytes
        self.changed[holder.key] = holder
        if not stock.holders:
            self.unowned[stock.hash] = stock
        self._count(stock)

    def _uncount(self, stock: Stock) -> None:
        for position, holder in enumerate(stock.holders):
            holder.vectors -= stock.share(position)

    def _count(self, stock: Stock) -> None:
        for position, holder in enumerate(stock.holders):
            holder.vectors += stock.share(position)
            self.changed[holder.key] = holder


def _movable(donor: Holder, taker: Holder) -> Iterator[Stock]:
    """Walk what could go from donor to taker: what the taker has cached, then what the donor got last."""
    for hash_ in sorted(donor.shards.keys() & taker.cached - taker.shards.keys()):
        if taker.room(donor.shards[hash_]):
            yield donor.shards[hash_]
    for stock in reversed(donor.shards.values()):
        if stock.hash not in taker.shards and taker.room(stock):
            yield stock
