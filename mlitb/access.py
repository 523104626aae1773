"""Who asks, and from where: owner token, tickets, and the check of Host and Origin on every request.

Rules of this file:
- Decides before anything becomes an event; the core only ever learns "owner or not".
- A name in Host may be forged by DNS (rebinding), an address may not: names must be known, addresses need not.
- Tokens are compared in constant time and never logged.
"""

import contextlib
import hmac
import ipaddress
import socket
from collections import Counter
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from itsdangerous import URLSafeTimedSerializer
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TICKET_ACTIONS = ("upload", "delete", "use", "edit")
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def hostname(netloc: str) -> str:
    """Return the host part of "host:port", lower case, without brackets; empty when it cannot be read."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """Which names and addresses this server answers to."""

    lan: bool = False
    names: tuple[str, ...] = ()

    def allows(self, netloc: str) -> bool:
        """Tell whether a request for this host may be answered."""
        name = hostname(netloc)
        if not name:
            return False
        if name == "localhost" or name in self.names:
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            own = socket.gethostname().lower()
            return self.lan and (name.endswith(".local") or name == own)
        return self.lan or address.is_loopback


class Tickets:
    """Signs what the data server checks: a ticket allows one kind of action for an hour."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="mlitb-ticket")

    def issue(self, action: str) -> str:
        """Return a ticket for one of TICKET_ACTIONS."""
        assert action in TICKET_ACTIONS, action
        return self._signer.dumps({"action": action})


@dataclass(frozen=True, slots=True)
class Owner:
    """Recognises the owner by cookie or bearer token."""

    token: str
    cookie: str  # the cookie's name; it includes the port, because cookies do not

    def matches(self, given: str) -> bool:
        """Compare a token in constant time."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def asks(self, headers: Headers) -> bool:
        """Tell whether a request with these headers comes from the owner."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.matches(bearer.strip()):
            return True
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:
            return False
        return self.cookie in cookies and self.matches(cookies[self.cookie].value)


def same_origin(headers: Headers, public_url: str) -> bool:
    """Tell whether Origin, where a browser sent one, is the page's own."""
    origin = headers.get("origin")
    if origin is None:  # not a browser, or a browser's plain navigation
        return True
    if public_url and origin == public_url.rstrip("/"):
        return True
    netloc = urlsplit(origin).netloc
    return bool(netloc) and netloc.lower() == headers.get("host", "").lower()


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, and puts the security headers on every answer."""

    def __init__(
        self, app: ASGIApp, policy: HostPolicy, public_url: str, data_url: str, data_port: int, refused: Counter[str]
    ) -> None:
        self.app = app
        self.policy = policy
        self.public_url = public_url
        self.data_url = data_url
        self.data_port = data_port
        self.refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        reason = self._refusal(scope, headers)
        if reason:
            await self._refuse(scope, receive, send, *reason)
            return
        extra = self._headers(scope, headers)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        await self.app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        known = self.policy.allows(host) or (self.public_url and urlsplit(self.public_url).netloc == host)
        if not known:
            self.refused["host"] += 1
            return 400, (
                f"this server does not answer to the host {host[:100]!r}: start it with --lan for other devices, "
                "or with --allow-host for another name"
            )
        changes = scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS
        if changes and not same_origin(headers, self.public_url):
            self.refused["origin"] += 1
            return 403, f"a page of {headers.get('origin', '')[:100]!r} may not act on this server"
        return None

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
            return
        await JSONResponse({"detail": reason}, status)(scope, receive, send)

    def _headers(self, scope: Scope, headers: Headers) -> list[tuple[bytes, bytes]]:
        scheme = "https" if scope.get("scheme") in ("https", "wss") else "http"
        host = headers.get("host", "")
        data = data_url(scheme, host, self.data_url, self.data_port)
        socket_scheme = "wss" if scheme == "https" else "ws"
        policy = (
            "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; worker-src 'self'; "
            f"img-src 'self' data: blob: {data}; connect-src 'self' {socket_scheme}://{host} {data}; "
            "manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        )
        return [
            (b"content-security-policy", policy.encode("latin-1", "replace")),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        ]


def lan_address() -> str:
    """Return this machine's address in its network (no packet is sent); loopback when it has none."""
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with contextlib.closing(probe):
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1: connecting a datagram socket only asks for the route
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def is_loopback(netloc: str) -> bool:
    """Tell whether a host leads every machine to itself."""
    name = hostname(netloc)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


def invite_url(scheme: str, host: str, public_url: str, lan: str, port: int) -> str:
    """Return under which address others reach the master, for a browser that asked for `host`.

    `lan` is this machine's address in its network, if the master listens there. Empty: only this machine reaches it.
    """
    if public_url:
        return public_url.rstrip("/")
    if not is_loopback(host):
        return f"{scheme}://{host}"
    return f"{scheme}://{lan}:{port}" if lan and not is_loopback(lan) else ""


def data_url(scheme: str, host: str, fixed: str, port: int) -> str:
    """Return the data server's address for a browser that asked for `host`: the same host, the data port."""
    if fixed:
        return fixed.rstrip("/")
    name = hostname(host)
    return f"{scheme}://[{name}]:{port}" if ":" in name else f"{scheme}://{name}:{port}"
