"""What an HTTP client is told when its request is refused."""


class Refusal(Exception):
    """A request that is refused with an HTTP status and a sentence; it changed nothing."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
