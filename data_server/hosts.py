"""Which Host a request may name and which Origin may read an answer: the guard against DNS rebinding.

Rules of this file:
- Pure functions; a leaf of the data server (the master has its own, by the same rule).
- Loopback addresses, `localhost` and names given with --allow-host always pass; --lan adds every IP literal, this
  machine's name and `*.local`. A rebinding attack needs a name that its attacker controls: none of these is one.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

from data_server.settings import Settings

DEFAULT_PORTS = {"http": 80, "https": 443}


def split_host(header: str) -> str:
    """Return the host of a Host header without port and brackets, in lower case; empty if it has none."""
    try:
        return (urlsplit(f"//{header}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def host_allowed(header: str, settings: Settings) -> bool:
    """Tell whether a request may name this host."""
    host = split_host(header)
    named = {"localhost", *(name.lower() for name in settings.allow_hosts)}
    if settings.public_url:
        named.add(split_host(urlsplit(settings.public_url).netloc))
    if host in named:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return settings.lan and (host == socket.gethostname().lower() or host.endswith(".local"))
    return settings.lan or address.is_loopback


def origin_allowed(origin: str, settings: Settings) -> bool:
    """Tell whether a page of this origin is one of our master's."""
    if settings.public_url and origin == _origin(settings.public_url):
        return True
    try:
        parts = urlsplit(origin)
        port = parts.port or DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return False
    return parts.scheme in DEFAULT_PORTS and port == settings.master_port and host_allowed(parts.netloc, settings)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
