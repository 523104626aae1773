"""Run the data server: `python -m data_server --data-dir DIR --secret-file FILE`."""

import logging
import os
import resource
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click
import uvicorn

from data_server.app import create_app
from data_server.index import IndexUnavailable
from data_server.quick import quick_protocol
from data_server.settings import Settings
from data_server.store import StoreUnavailable

OPEN_FILES = 65_536  # connections and shards; many systems begin with a thousand and allow more
GRACE_SECONDS = 3  # for answers under way when the server is told to stop
KEEP_ALIVE_SECONDS = 75  # longer than clients keep theirs, which would send a request into a connection that closes


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8001, show_default=True, help="Port to listen on.")
@click.option("--data-dir", required=True, type=click.Path(path_type=Path), help="Where everything is kept.")
@click.option(
    "--secret-file", required=True, type=click.Path(path_type=Path), help="What the master signs tickets with."
)
@click.option("--master-port", default=8000, show_default=True, help="The master's port, whose pages may read.")
@click.option("--allow-host", multiple=True, help="A name that requests may use for this machine.")
@click.option("--lan", is_flag=True, help="Answer to this machine's addresses and names, not only to loopback.")
@click.option("--public-url", default="", help="The master's address for browsers, behind a proxy.")
@click.option("--redis", default="", help="Keep the index in this Redis instead of SQLite.")
@click.option("--cert", default=None, type=click.Path(path_type=Path), help="Certificate, for HTTPS.")
@click.option("--key", default=None, type=click.Path(path_type=Path), help="The certificate's private key.")
@click.option("--exit-with-parent", is_flag=True, help="End when standard input closes, however the parent ended.")
def main(
    secret_file: Path,
    allow_host: tuple[str, ...],
    cert: Path | None,
    key: Path | None,
    exit_with_parent: bool,
    **options: object,
) -> None:
    """Serve data sets as shards."""
    logging.basicConfig(level=logging.INFO, format="data server: %(levelname)s %(message)s", stream=sys.stderr)
    _allow_many_files()
    settings = Settings(secret=_secret(secret_file), allow_hosts=allow_host, **options)  # type: ignore[arg-type]
    _check_certificate(cert, key)
    listener = _listen(settings.host, settings.port)
    try:
        app = create_app(settings)
    except (StoreUnavailable, IndexUnavailable) as error:
        _stop(str(error))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=quick_protocol(app.state.shards, settings, app.state.counters),
        ws="none",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ssl_certfile=cert,
        ssl_keyfile=key,
    )
    # uvicorn raises the signal that stopped it again when it has: then this is how the process ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    if exit_with_parent:
        threading.Thread(target=_end_after_parent, daemon=True).start()
    uvicorn.Server(config).run(sockets=[listener])


def _allow_many_files() -> None:
    wanted, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = OPEN_FILES if most == resource.RLIM_INFINITY else min(OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(wanted, allowed), most))


def _end_after_parent() -> None:
    """Wait until the parent's end of the pipe closes (it does however the parent ends), then end in order."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _secret(path: Path) -> str:
    try:
        secret = path.read_text().strip()
    except OSError as error:
        _stop(f"the secret file {path} cannot be read: {error.strerror}")
    if len(secret) < 16:
        _stop(f"the secret file {path} holds less than 16 characters")
    return secret


def _check_certificate(cert: Path | None, key: Path | None) -> None:
    if cert is None and key is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert or "", key)
    except OSError as error:  # an SSLError is one
        _stop(f"the certificate {cert} with the key {key} cannot be used: {error.strerror or error}")


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        _stop(f"the data server cannot listen on {host}:{port}: {getattr(error, 'strerror', None) or error}")
    return listener


def _stop(sentence: str) -> NoReturn:
    click.echo(f"data server: {sentence}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
