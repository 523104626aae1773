"""The one exception that a peer or an owner can cause in the core.

Rules of this file:
- A Refusal is somebody's mistake, told in a sentence; whoever raises it has changed nothing.
- An impossible state is an AssertionError, never a Refusal.
"""


class Refusal(Exception):
    """A wish that cannot be granted; `status` is as in HTTP, `sentence` names what was wrong."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
