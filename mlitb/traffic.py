"""What goes over the WebSockets, counted by project.

Rules of this file:
- Bytes of frames, without WebSocket's and TCP's own; sent counts when it was handed to the kernel, not when queued.
- Counted since it was last taken: the runtime takes it at the close of each iteration.
"""

from collections import Counter


class Traffic:
    """Bytes in and out, by project."""

    def __init__(self) -> None:
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()

    def take(self, project: str) -> dict[str, int]:
        """Return what went in and out of a project since the last time, and begin anew."""
        return {"bytes_in": self.received.pop(project, 0), "bytes_out": self.sent.pop(project, 0)}
