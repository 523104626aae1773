"""What can happen to the master (Event) and what the master can ask for (Effect).

Rules of this file:
- Only frozen dataclasses. The runtime turns the outside world into events and performs effects, in order.
- No event or effect carries a long vector: vectors stay with the runtime, which is told what to do with them.
- A control action arrives as an event only after the shell has checked who asks.
"""

from dataclasses import dataclass
from typing import Any, Literal

from mlitb.core.messages import Action, FromClient, ToClient


# ---------------------------------------------------------------------------------------------------- events
@dataclass(frozen=True, slots=True)
class Connected:
    """A client's socket opened; `client` is the runtime's number for the connection, never used twice."""

    client: int
    owner: bool
    token: str  # fresh and unguessable: what Welcome gives as the resume token


@dataclass(frozen=True, slots=True)
class Received:
    """A well-formed message came; for one with a vector: its length in float32 and whether all are finite."""

    client: int
    message: FromClient
    values: int = 0
    finite: bool = True


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A client's socket closed, for whatever reason."""

    client: int


@dataclass(frozen=True, slots=True)
class Created:
    """A project is to exist (new, or restored: then `iteration` and `labels` are what the checkpoint holds)."""

    project: str
    name: str
    layers: tuple[dict[str, Any], ...]
    settings: dict[str, Any]  # period, optimizer …: core.project.Settings, already validated
    seed: int
    labels: tuple[str, ...] = ()
    iteration: int = 0
    learning_rate: float | None = None  # as decayed so far; None: from the settings
    running: bool = False


@dataclass(frozen=True, slots=True)
class Attached:
    """A cut's manifest arrived from the data server and fits the wish to use it for a project."""

    project: str
    manifest: dict[str, Any]  # docs/architecture.md, "The manifest"


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What a project is to be tested on (core/held_out.py); with a manifest for an upload of its own."""

    project: str
    part: str
    manifest: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Wished:
    """The owner's control action over REST (the same as a Control message)."""

    project: str
    action: Action
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stepped:
    """The runtime finished a Step (or an Initialise): parameters and optimizer state are the new ones."""

    project: str
    finite: bool
    learning_rate: float
    steps: int = 0  # that led to these parameters, as the optimizer's state counts them


@dataclass(frozen=True, slots=True)
class Ticked:
    """Nothing happened until the deadline."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A browser that got this token and number before the master was restarted is about to say Hello with it."""

    client: int
    token: str


@dataclass(frozen=True, slots=True)
class Restored:
    """The owner takes a project back to a checkpoint, whose vectors the runtime keeps ready for Restore."""

    project: str
    labels: tuple[str, ...]
    seed: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Draining:
    """The master is to be stopped: what is open ends as it would, and no iteration opens any more."""


Event = (
    Connected
    | Received
    | Disconnected
    | Created
    | Attached
    | HeldBack
    | Wished
    | Stepped
    | Ticked
    | Issued
    | Restored
    | Draining
)


# --------------------------------------------------------------------------------------------------- effects
@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to a client."""

    client: int
    message: ToClient


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Encode the project's parameters once and send them to these clients; an older snapshot still queued goes."""

    project: str
    iteration: int
    version: int
    clients: tuple[int, ...]
    tested: bool = False  # a statistics worker is among those that are shown it


@dataclass(frozen=True, slots=True)
class Close:
    """Close a client's connection with a reason (as Bye, then the socket)."""

    client: int
    reason: str
    retry_ms: int = 1000


@dataclass(frozen=True, slots=True)
class Initialise:
    """Make parameters (engine, by the seed) and zero optimizer state, or grow what the project has. Then Stepped."""

    project: str
    layers: tuple[dict[str, Any], ...]
    labels: int
    seed: int
    grow_from: int = 0  # labels before; 0: from nothing (or a reboot)
    learning_rate: float = 0.0  # as it stands, to be echoed in Stepped


@dataclass(frozen=True, slots=True)
class Add:
    """Add the vector of the message being handled to the project's gradient sum."""

    project: str


@dataclass(frozen=True, slots=True)
class Step:
    """Divide the gradient sum by `vectors`, take one optimizer step, clear the sum. Then Stepped."""

    project: str
    settings: dict[str, Any]  # core.optimizer.Hyper as a plain dict
    iteration: int
    vectors: int
    learning_rate: float


@dataclass(frozen=True, slots=True)
class Record:
    """Keep one iteration's figures: history and work log."""

    project: str
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RecordTest:
    """Keep the figures of a report about the test set."""

    project: str
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Save:
    """Write a checkpoint of the project (between two iterations) off the event loop."""

    project: str


@dataclass(frozen=True, slots=True)
class Forget:
    """A project was removed: drop its vectors, history and checkpoints; nothing under way for it is told any more."""

    project: str


Level = Literal["debug", "info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Log:
    """Say something to the operator, and in the log of a project's page."""

    level: Level
    text: str
    project: str = ""


@dataclass(frozen=True, slots=True)
class Restore:
    """Replace the project's parameters and optimizer state by those that came with Restored, at once."""

    project: str


Effect = Send | Broadcast | Close | Initialise | Add | Step | Record | RecordTest | Save | Forget | Log | Restore
