"""Connections, who is behind them, and what they watch.

Rules of this file:
- A connection's number is the runtime's and never comes back; an Identity is a person's browser and does, by its token.
- The token is the only proof of identity and is only ever sent to its own browser.
- Identities without a connection are kept up to a bound, the longest gone forgotten first.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlitb.core.agenda import NEVER, Agenda
from mlitb.core.budget import Link
from mlitb.core.events import Connected
from mlitb.core.messages import Hello

MAX_ABSENT = 50_000
"""Identities kept while away: a few hundred bytes each, and what they have cached."""

SHOW_EVERY_S = 1.0
"""Status and roster go to those who watch at most so often."""


@dataclass(slots=True)
class Identity:
    """A person's browser, the same after a reconnection."""

    number: int
    token: str
    device: str = ""
    cached: set[str] = field(default_factory=set)
    link: Link = field(default_factory=Link)


@dataclass(slots=True, eq=False)
class Client:
    """One connection."""

    number: int
    owner: bool
    token: str
    identity: Identity | None = None  # None before Hello
    watches: str = ""
    workers: dict[int, str] = field(default_factory=dict)  # worker -> project
    closed: bool = False  # its Close is under way


@dataclass(slots=True)
class Show:
    """Who watches a project, and whether there is something new to show."""

    watchers: dict[int, bool] = field(default_factory=dict)  # in order; whether they want the table
    changed: bool = False
    shown_at: float = 0.0
    tables_from: float = 0.0  # before, no table is sent again

    def due_at(self) -> float:
        """Tell when it is to be shown: never, as long as nothing changed or nobody watches."""
        return self.shown_at + SHOW_EVERY_S if self.changed and self.watchers else NEVER


class Clients:
    """All connections of the master."""

    def __init__(self) -> None:
        self.by_number: dict[int, Client] = {}
        self.to_show = Agenda()  # projects
        self._shows: dict[str, Show] = {}  # by project
        self._present: dict[str, Client] = {}  # by token
        self._absent: dict[str, Identity] = {}  # by token, the longest gone first

    def connect(self, event: Connected) -> None:
        """Register a connection."""
        assert event.client not in self.by_number, f"connection {event.client} opened twice"
        self.by_number[event.client] = Client(event.client, event.owner, event.token)

    def resumed(self, token: str) -> Client | None:
        """Find the connection that still stands for the browser with this token."""
        return self._present.get(token) if token else None

    def issued(self, number: int, token: str) -> None:
        """Expect a browser that got its token before a restart."""
        if token not in self._present and token not in self._absent:
            self._leave(Identity(number, token))

    def identify(self, client: Client, hello: Hello) -> Identity:
        """Find out who is behind a connection: the browser with this token, or a new one."""
        before = self._present.pop(hello.resume, None)
        identity = before.identity if before else self._absent.pop(hello.resume, None)
        client.identity = identity or Identity(client.number, client.token)
        client.identity.device = hello.device[:100]
        self._present[client.identity.token] = client
        return client.identity

    def disconnect(self, client: Client) -> None:
        """Forget a connection; its browser may come back."""
        del self.by_number[client.number]
        identity = client.identity
        if identity is None or self._present.get(identity.token) is not client:
            return  # it never said Hello, or is back already
        del self._present[identity.token]
        self._leave(identity)

    def _leave(self, identity: Identity) -> None:
        self._absent[identity.token] = identity
        while len(self._absent) > MAX_ABSENT:
            del self._absent[next(iter(self._absent))]

    def identity_number(self, number: int) -> int:
        """Give the number by which people know who is behind a connection, -1 for nobody."""
        client = self.by_number.get(number)
        return client.identity.number if client and client.identity else -1

    def watch(self, client: Client, project: str, table: bool = False) -> None:
        """Let a client watch one project, or none."""
        before, client.watches = client.watches, project
        if before in self._shows:
            self._shows[before].watchers.pop(client.number, None)
            self._plan(before)
        if project:
            self._shows.setdefault(project, Show()).watchers[client.number] = table
            self._plan(project)

    def watchers(self, project: str) -> set[int]:
        """List who watches a project."""
        show = self._shows.get(project)
        return set(show.watchers) if show else set()

    def unwatched(self, project: str) -> None:
        """Forget who watched a project that is gone."""
        self._shows.pop(project, None)
        self.to_show.set(project, NEVER)

    def changed(self, project: str) -> None:
        """Note that there is something new to show of a project."""
        show = self._shows.get(project)
        if show is not None and not show.changed:
            show.changed = True
            self._plan(project)

    def shows(self, now: float) -> Iterator[tuple[str, Show]]:
        """Take what is to be shown now, by project."""
        for project in self.to_show.take(now):
            show = self._shows[project]
            show.changed, show.shown_at = False, now
            yield project, show

    def _plan(self, project: str) -> None:
        self.to_show.set(project, self._shows[project].due_at())
