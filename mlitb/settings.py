"""What an operator may set, in one frozen value, and the layout of the data folder."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from mlitb.core.network import MAX_PARAMETERS

MAX_HEAD_BYTES = 1 << 20
"""Largest JSON head of a frame."""


class SettingsError(ValueError):
    """An option cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How one master runs."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    data_port: int = 8001
    lan: bool = False
    allow_hosts: tuple[str, ...] = ()
    public_url: str = ""  # what browsers call the master, when it is behind a proxy
    data_url: str = ""  # what browsers call the data server, likewise
    internal_data_url: str = ""  # what the master itself calls the data server; default: loopback
    max_clients_per_address: int = 256
    max_messages_per_second: float = 200.0
    checkpoint_s: float = 10.0  # between two checkpoints; 0: after each iteration
    https: bool = False  # with a certificate of its own, unless one is given
    cert: Path | None = None
    key: Path | None = None
    relay_logs: bool = False  # the data server's lines go through the master's log, in its format

    @property
    def max_frame_bytes(self) -> int:
        """Largest WebSocket message that is read."""
        return MAX_PARAMETERS * 4 + MAX_HEAD_BYTES

    @property
    def master_dir(self) -> Path:
        """Where the master keeps its own files."""
        return self.data_dir / "master"

    @property
    def data_server_dir(self) -> Path:
        """Where a data server that `mlitb up` starts keeps its files."""
        return self.data_dir / "data"

    @property
    def secret_file(self) -> Path:
        """The secret that signs tickets, shared with the data server."""
        return self.data_dir / "ticket-secret"

    @property
    def owner_file(self) -> Path:
        """The owner token."""
        return self.data_dir / "owner-token"

    @property
    def scheme(self) -> str:
        """What both servers speak."""
        return "https" if self.https or self.cert or self.key else "http"

    @property
    def own_url(self) -> str:
        """Where programs on this machine reach the master."""
        name = "127.0.0.1" if self.host in ("0.0.0.0", "::") else self.host
        return f"{self.scheme}://{f'[{name}]' if ':' in name else name}:{self.port}"

    @property
    def data_server(self) -> str:
        """The data server's address as the master calls it."""
        return self.internal_data_url or f"{self.scheme}://127.0.0.1:{self.data_port}"


def prepare_data_dir(settings: Settings) -> None:
    """Make the data folder's parts; raise SettingsError when it cannot be written."""
    try:
        for path in (settings.data_dir, settings.master_dir, settings.data_server_dir):
            path.mkdir(parents=True, exist_ok=True)
        probe = settings.data_dir / f".writable-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise SettingsError(
            f"the data folder {settings.data_dir} cannot be written ({error.strerror}): choose another with --data-dir"
        ) from error


def secret(path: Path) -> str:
    """Return the secret kept in `path` (mode 0600); make it when there is none."""
    try:
        if path.exists():
            text = path.read_text().strip()
            if len(text) < 16:
                raise SettingsError(f"{path} holds no usable secret: delete it and a new one is made")
            return text
        text = secrets.token_urlsafe(32)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(text + "\n")
    except OSError as error:
        raise SettingsError(f"the secret in {path} cannot be used ({error.strerror})") from error
    return text
