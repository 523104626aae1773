"""What a data server is told when it starts, and the limits that it keeps."""

import errno
from dataclasses import dataclass, field
from pathlib import Path

GB = 1_000_000_000
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a failed write says when disk, quota or file size is used up


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds on what strangers' bytes may cost; each refusal names the one that was met."""

    upload_bytes: int = 64 * GB
    uploads: int = 16  # at once; more are told to come back
    entries: int = 1_000_000  # in one zip; they are read as a stream, so the bound is on time, about ten seconds
    name_bytes: int = 1_024
    file_bytes: int = 64_000_000  # one picture, unpacked
    ratio: int = 200  # unpacked / packed, for files above a megabyte
    total_bytes: int = 256 * GB  # all pictures, unpacked
    labels: int = 10_000
    body_bytes: int = 1_000_000  # a JSON body
    idle_seconds: float = 60.0  # a client that stops in the middle of an upload
    reserve_bytes: int = 50_000_000  # disk space that an upload must leave free
    memory_bytes: int = 2 * GB  # address space of a process that decodes pictures


@dataclass(frozen=True, slots=True)
class Settings:
    """A data server's configuration; `secret` signs the tickets."""

    data_dir: Path
    secret: str
    host: str = "127.0.0.1"
    port: int = 8001
    master_port: int = 8000
    allow_hosts: tuple[str, ...] = ()
    lan: bool = False
    public_url: str = ""
    redis: str = ""
    processes: int = 2  # that decode one upload
    limits: Limits = field(default_factory=Limits)
