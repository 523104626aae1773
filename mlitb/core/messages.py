"""Every message on the wire, in two unions: FromClient and ToClient.

Rules of this file:
- Only frozen dataclasses of plain values; one doc line per message says who sends it and why.
- A message may travel with one raw float32 vector; VECTOR names those that do.
- Identity never comes from a payload: the connection says who speaks.
- The JavaScript mirror is static/js/protocol.js; tests/test_wire.py and golden frames hold both together.
- A change that an older peer would misread raises PROTOCOL.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

PROTOCOL = 1

Role = Literal["trainer", "tracker", "statistics", "classify"]
Action = Literal["start", "pause", "reboot", "set", "remove"]
WorkerState = Literal["waiting", "joining", "ready", "working", "saturated", "paused", "silent", "failed"]


# ---------------------------------------------------------------------------------------------- from a client
@dataclass(frozen=True, slots=True)
class Hello:
    """A browser introduces itself; must be the first message of a connection."""

    protocol: int
    engine: str  # sha256 (hex) of the engine.wasm that it runs
    resume: str = ""  # the token of an earlier Welcome, to come back as the same client
    device: str = ""  # a name for people: "Chrome on Android, 8 cores"


@dataclass(frozen=True, slots=True)
class Watch:
    """Send me this project's Status (at most once a second) and the rows of my workers; an empty id stops it."""

    project: str
    table: bool = False  # the workers of others, too; the more ask for them, the seldomer they come


@dataclass(frozen=True, slots=True)
class Join:
    """Lend one worker to a project; answered by Assign or Refused."""

    project: str
    worker: int  # the client's own number for it, unique within the client
    role: Role = "trainer"
    capacity_vectors: int = 3000
    capacity_bytes: int = 100_000_000
    intensity: float = 1.0  # share of the period in which it may compute, in (0, 1]


@dataclass(frozen=True, slots=True)
class Tune:
    """Change what a worker may give; a paused worker keeps its shards for a while but is given no orders."""

    worker: int
    capacity_vectors: int = 3000
    capacity_bytes: int = 100_000_000
    intensity: float = 1.0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Take a worker back; its shards go to others at once."""

    worker: int


@dataclass(frozen=True, slots=True)
class Holds:
    """These shards lie in this browser's cache (IndexedDB): prefer them when allocating to it."""

    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ready:
    """These shards of a worker's newest assignment are unpacked: count on them from the next iteration."""

    worker: int
    assignment: int
    shards: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What one trainer did for one order (a part of Answer, never sent alone)."""

    worker: int
    count: int  # vectors in the sum
    loss: float  # summed over vectors
    wrong: int
    ms: float  # time spent computing


@dataclass(frozen=True, slots=True)
class Answer:
    """A browser's combined answer to its orders of one iteration; travels with the gradient sum (or none: count 0)."""

    project: str
    iteration: int
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a statistics worker counted over the whole test set; only a client with the owner's token may say it."""

    worker: int
    assignment: int  # the newest Assign of this worker: which test set
    iteration: int  # of the Parameters that were evaluated
    version: int
    count: int  # pictures: all whose label the network knows
    wrong: int
    loss: float  # summed over pictures
    labels: tuple[tuple[int, int, int], ...] = ()  # of each label: pictures, answers, right answers; none above 100


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker stopped with an error; the reason is shown to people."""

    worker: int
    reason: str


@dataclass(frozen=True, slots=True)
class Control:
    """The owner's wish for a project; anyone else is refused with 403."""

    project: str
    action: Action
    settings: dict[str, Any] = field(default_factory=dict)  # for "set"


FromClient = Hello | Watch | Join | Tune | Leave | Holds | Ready | Answer | Report | Failed | Control


# ------------------------------------------------------------------------------------------------ to a client
@dataclass(frozen=True, slots=True)
class Welcome:
    """The answer to Hello: who you are, and the token with which you come back as the same client."""

    client: int
    resume: str
    owner: bool


@dataclass(frozen=True, slots=True)
class Reload:
    """Protocol version or engine differ: load the page again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A message was refused and changed nothing."""

    status: int  # as in HTTP: 400 malformed, 403 not yours, 404 unknown, 409 not now, 413 too large, 422 invalid
    reason: str
    about: str = ""  # the type of the refused message
    worker: int = -1  # the worker it was about, if any


@dataclass(frozen=True, slots=True)
class Network:
    """What a project's workers compute; sent before the first Assign and whenever it changes (new labels)."""

    project: str
    version: int
    layers: tuple[dict[str, Any], ...]  # layer specs with normalisation filled in; the engine reads them as JSON
    labels: tuple[str, ...]
    seed: int


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard in an assignment (a part of Assign, never sent alone)."""

    hash: str
    cut: str
    count: int  # vectors in the whole shard
    bytes: int
    labels: tuple[int, ...]  # the cut's label index -> the network's label index; -1: unknown, in test sets only
    offset: int = 0  # this holder's stride: vectors offset, offset + step, …
    step: int = 1


@dataclass(frozen=True, slots=True)
class Assign:
    """The whole list of shards that a worker is to hold from now on; replaces the one before."""

    project: str
    worker: int
    assignment: int  # grows with every change; orders and Ready name it
    shards: tuple[Shard, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """What one trainer is to compute in one iteration (a part of Orders, never sent alone); see core/work.py."""

    worker: int
    assignment: int
    ready: tuple[int, ...]  # positions in the assignment's list of the shards that make up this order
    seed: int  # keys the permutation of the listed vectors
    cursor: int  # where in that permutation to go on
    micro_batch: int  # 1, 4 or 16
    until_ms: float  # compute for so long
    limit: int  # and for at most so many vectors
    local_rate: float = 0.0  # above 0: local steps of SGD with this rate instead of one gradient (docs: "Local steps")
    local_momentum: float = 0.0


@dataclass(frozen=True, slots=True)
class Orders:
    """This browser's work orders for one iteration; follows the Parameters of that iteration."""

    project: str
    iteration: int
    orders: tuple[Order, ...]
    margin_ms: float = 100.0  # how long after its longest order a device may wait for its own stragglers


@dataclass(frozen=True, slots=True)
class Parameters:
    """A snapshot of a project's parameters; travels with the flat vector; latest wins."""

    project: str
    iteration: int
    version: int  # of the Network whose layout the vector has


@dataclass(frozen=True, slots=True)
class Status:
    """A project at a glance, at most 1 KB and once a second, to those who watch it."""

    project: str
    state: str  # idle, running, reducing, paused
    why: str  # a sentence when it is not computing, else empty
    iteration: int
    period: float  # seconds
    error: float  # share of wrong answers of the last iteration, -1 before the first
    loss: float  # mean of the last iteration, -1 before the first
    vectors: int  # in the last iteration
    power: float  # vectors per second, all workers
    trainers: int
    clients: int
    efficiency: float  # distinct vectors used / vectors the devices could have computed, 0…1
    data_vectors: int
    labels: int
    remaining_ms: float  # until this iteration's deadline
    test_vectors: int = 0  # pictures of the test set, 0: there is none
    test_iteration: int = -1  # of the newest report about it, -1 before the first
    test_error: float = -1.0
    test_loss: float = -1.0


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """One worker for the workers table (a part of Roster, never sent alone)."""

    client: int
    worker: int
    device: str
    role: Role
    state: WorkerState
    advice: str  # a sentence for its user ("this link needs T ≥ 6 s"), else empty
    allocated: int  # vectors
    cached: int  # vectors
    count: int  # vectors in its last answer
    power: float  # vectors per second, smoothed
    latency_ms: float
    budget_ms: float
    share: float  # of the last iteration's vectors


@dataclass(frozen=True, slots=True)
class Roster:
    """The workers of a watched project: your own all, of others the strongest hundred, if you asked for the table."""

    project: str
    rows: tuple[WorkerRow, ...]
    more: int  # rows left out


@dataclass(frozen=True, slots=True)
class Removed:
    """A project is gone; drop what you keep of it."""

    project: str


@dataclass(frozen=True, slots=True)
class Bye:
    """The master closes this connection and says why; come back after so many ms (negative: do not)."""

    reason: str
    retry_ms: int = 1000


ToClient = Welcome | Reload | Refused | Network | Assign | Orders | Parameters | Status | Roster | Removed | Bye

VECTOR = (Answer, Parameters)
"""The messages that travel with a raw float32 vector."""
