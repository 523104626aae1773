"""The data folder: whose it is, and what lies in it.

Rules of this file:
- One master to a folder: a lock that the kernel drops however the master ends. What the lock file says (who, where,
  whether it ended in order) is for people and for the next start.
- A folder with strangers' files and nothing of ours is refused; a stranger's file among ours is named and left alone.
"""

import asyncio
import fcntl
import json
import logging
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlitb.settings import Settings, SettingsError

log = logging.getLogger("mlitb")

LOCK = "lock"
OURS = {"master", "data", "ticket-secret", "owner-token", "https", LOCK}
"""What this release keeps in a data folder; hidden files and these are nobody's business."""

PATIENT_S = 10.0
"""How long the data server of a killed master may take to end: it finishes what it is at."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs on a folder."""

    pid: int = 0
    url: str = ""
    ended: bool = True  # in order


class FolderLock:
    """The right to use a data folder, held until `release` or the end of the process."""

    def __init__(self, settings: Settings) -> None:
        """Take it; raise SettingsError when another master has it."""
        self.path = settings.data_dir / LOCK
        self.settings = settings
        try:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingsError(f"{self.path} cannot be written ({error.strerror})") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._handle)
            other = read_owner(settings.data_dir)
            raise SettingsError(
                f"another MLitB (process {other.pid}, {other.url}) runs on the data folder {settings.data_dir}: "
                "stop it, or choose another folder with --data-dir"
            ) from error
        self.before = read_owner(settings.data_dir)
        try:
            self._say(Owner(os.getpid(), settings.own_url, ended=False))
        except OSError as error:
            os.close(self._handle)
            raise SettingsError(f"{self.path} cannot be written ({error.strerror}): make room") from error

    def _say(self, owner: Owner) -> None:
        text = json.dumps(asdict(owner)).encode()
        os.pwrite(self._handle, text, 0)
        os.ftruncate(self._handle, len(text))

    def release(self) -> None:
        """Give the folder back after an end in order."""
        try:
            self._say(Owner())
        except OSError as error:  # the next start waits for nobody, and says so
            log.warning("%s could not be written (%s)", self.path, error)
        os.close(self._handle)


def read_owner(data_dir: Path) -> Owner:
    """Read who runs, or ran last, on a folder."""
    try:
        said: dict[str, Any] = json.loads((data_dir / LOCK).read_text())
        return Owner(int(said["pid"]), str(said["url"]), bool(said["ended"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Owner()


def is_free(path: Path) -> bool:
    """Tell whether nobody holds a lock file."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


async def freed(path: Path, most_s: float = PATIENT_S) -> bool:
    """Wait until nobody holds a lock file; tell whether that came to be in time."""
    until = time.monotonic() + most_s
    while not is_free(path):
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


def strangers(data_dir: Path) -> list[str]:
    """Name what lies in a data folder and is not ours."""
    hidden = (".", "lost+found")
    return sorted(
        path.name for path in data_dir.iterdir() if path.name not in OURS and not path.name.startswith(hidden)
    )


def check_strangers(data_dir: Path) -> str:
    """Return a sentence about files that do not belong here, or an empty one.

    Raises SettingsError when nothing here is ours: then it is the wrong folder.
    """
    if not data_dir.is_dir():
        return ""
    names = strangers(data_dir)
    if not names:
        return ""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if not any((data_dir / name).exists() for name in OURS):
        raise SettingsError(
            f"{data_dir} holds files that are not MLitB's ({shown}) and nothing of ours: choose an empty or a new "
            "folder with --data-dir"
        )
    return f"{data_dir} holds files that are not MLitB's ({shown}): they are left alone; better move them elsewhere"
