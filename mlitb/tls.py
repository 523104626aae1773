"""HTTPS: which certificate both servers show, and whom our own programs trust.

Rules of this file:
- One that was given (`--cert`, `--key`) is checked at the start and used as it is; else certificates.py makes one.
- On the way to our own servers on this machine exactly the certificate that they show is trusted, under any name.
- What makes certificates is not needed here: it is loaded when one is to be made (up.py).
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from mlitb.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files that a server shows and proves itself with."""

    cert: Path
    key: Path
    authority: Path | None = None  # of an own one: what devices may be told to trust


def pinned(certificate: Certificate | None) -> ssl.SSLContext | bool:
    """Give what httpx takes as `verify` on the way to our own servers: they may show this certificate and no other."""
    if certificate is None:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # it is a loopback address, and a given certificate names the world's name
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(certificate.cert)
    return context


def trusting(authority: Path | None) -> ssl.SSLContext:
    """Give a client's context: the world's authorities, and one more. Raises SettingsError."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    if authority is not None:
        try:
            context.load_verify_locations(authority)
        except OSError as error:  # an SSLError is one
            raise SettingsError(f"{authority} is no certificate of an authority ({why(error)})") from error
    return context


def advice(error: BaseException, url: str) -> str:
    """Say what to do when a certificate is not trusted; empty for other errors."""
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    parts = urlsplit(url)
    own = f"{parts.scheme}://{parts.netloc}/ca.crt"
    return f"its certificate is not trusted; if it is the server's own, fetch {own} and name that file with --ca"


def given(cert: Path | None, key: Path | None) -> Certificate:
    """Check what --cert and --key name; raises SettingsError."""
    if cert is None or key is None:
        have, lacks = ("--cert", "--key") if cert else ("--key", "--cert")
        raise SettingsError(f"{have} needs {lacks} beside it: a certificate and its private key, both PEM files")
    for path in (cert, key):
        if not path.is_file():
            raise SettingsError(f"there is no file {path}")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except OSError as error:
        raise SettingsError(f"the certificate {cert} with the key {key} cannot be used ({why(error)})") from error
    return Certificate(cert, key)


def why(error: OSError) -> str:
    """Say what the system, or the SSL library, said."""
    return error.strerror or str(error)
