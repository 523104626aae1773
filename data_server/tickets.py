"""The tickets by which the master lets its owner write here: signed, for one action, for an hour."""

from typing import Literal, get_args

from itsdangerous import BadSignature, SignatureExpired, URLSafeTimedSerializer

Action = Literal["upload", "delete", "use", "edit"]

ACTIONS: tuple[Action, ...] = get_args(Action)
LIFETIME_SECONDS = 3600


class BadTicket(ValueError):
    """A ticket that is refused, with a reason for people."""


def issue(secret: str, action: Action) -> str:
    """Sign a ticket for one action; the master does the same with the same secret."""
    return str(_serializer(secret).dumps({"action": action}))


def check(secret: str, authorization: str, action: Action) -> None:
    """Raise BadTicket unless an Authorization header carries a valid ticket for this action."""
    scheme, _, ticket = authorization.partition(" ")
    if scheme.lower() != "bearer" or not ticket:
        raise BadTicket(f"a ticket for {action!r} is needed: ask the master for one and send it as a Bearer token")
    try:
        payload = _serializer(secret).loads(ticket.strip(), max_age=LIFETIME_SECONDS)
    except SignatureExpired as error:
        raise BadTicket("this ticket is older than an hour: ask the master for a new one") from error
    except BadSignature as error:
        raise BadTicket("this ticket was not signed by our master") from error
    if not isinstance(payload, dict) or payload.get("action") != action:
        raise BadTicket(f"this ticket is not for {action!r}")


def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt="mlitb-ticket")
