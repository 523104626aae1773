"""Resume tokens that outlive the master: each is the browser's number, signed.

Rules of this file:
- Whoever shows a token that this folder's secret signed is the browser to which it was given; nothing is stored.
- Numbers never come back (storage.py reserves them), so a token stands for one browser for ever.
"""

from itsdangerous import BadSignature, URLSafeSerializer

MAX_NUMBER = 2**53
"""What JavaScript counts exactly."""


class Identities:
    """Issues resume tokens and knows them again."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeSerializer(secret, salt="mlitb-resume")

    def issue(self, number: int) -> str:
        """Return the token of a new browser."""
        return str(self._signer.dumps(number))

    def recall(self, token: str) -> int | None:
        """Return the number for which a token was issued, None for what is no token of ours."""
        if not token or len(token) > 200:
            return None
        try:
            number = self._signer.loads(token)
        except BadSignature:
            return None
        return number if isinstance(number, int) and 0 < number < MAX_NUMBER else None
