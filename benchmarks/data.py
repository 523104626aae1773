"""The data server: a whole upload until it is ready to train on, and shards to 64 clients beside nginx.

    .venv/bin/python benchmarks/data.py --data cifar10-train.zip

Without --data it takes the CIFAR-10 that `mlitb dataset get cifar10` keeps, else scikit-learn's digits, and says so.
nginx serves the same files in the same run, where it is installed. Memory is the sum over the server and all its
processes, shared pages counted once (PSS), at its peak.
"""

import argparse
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.report import Report  # noqa: E402 - run as a file, the checkout is not on the path
from data_server.tickets import issue  # noqa: E402
from mlitb.datasets import cached_zip, digits_zip  # noqa: E402

SECRET = "only for this benchmark, and for nothing else"
CLIENTS, REQUESTS, ROUNDS = 64, 1000, 9
UPLOAD_SECONDS, UPLOAD_MB, NGINX_SHARE = 60, 300, 0.5
SAMPLE_SECONDS = 0.1


@contextmanager
def data_server(folder: Path) -> Iterator[tuple[int, int]]:
    """Run a data server on an empty folder; give its port and process id."""
    port = free_port()
    (folder / "secret").write_text(SECRET)
    command = [sys.executable, "-m", "data_server", "--port", str(port), "--data-dir", str(folder / "data")]
    process = subprocess.Popen([*command, "--secret-file", str(folder / "secret")], cwd=ROOT)
    try:
        wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


@contextmanager
def nginx(folder: Path) -> Iterator[tuple[int, int] | None]:
    """Let nginx serve the same shards with one worker and sendfile; give its port and process id, None without it."""
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if program is None:
        yield None
        return
    port = free_port()
    places = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"worker_processes 1; user root; error_log {folder}/error.log; pid {folder}/nginx.pid; events {{}} "
        f"http {{ sendfile on; tcp_nopush on; access_log off; keepalive_requests 100000; {places} "
        f"server {{ listen 127.0.0.1:{port}; location /shards/ {{ alias {folder}/data/shards/; }} }} }}"
    )
    folder.chmod(0o755)
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-g", "daemon off;"])
    try:
        wait_for(port)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


class Memory(threading.Thread):
    """Samples the memory of a process and all its descendants until stopped."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._ended = pid, threading.Event()
        self.peak_mb = 0.0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, sum(map(pss_mb, family(self._pid))))

    def stop(self) -> float:
        """Stop; return the peak."""
        self._ended.set()
        self.join()
        return self.peak_mb


def family(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from family(int(child))
    except (FileNotFoundError, ProcessLookupError):
        return  # it ended while we looked


def pss_mb(pid: int) -> float:
    """Return a process's share of memory, 0 when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1000


def upload(port: int, pid: int, path: Path, shape: dict[str, int]) -> tuple[dict[str, Any], float, float]:
    """Upload a zip; return the report, the seconds until it was ready, and the peak of memory in MB."""
    memory = Memory(pid)
    memory.start()
    headers = {"authorization": f"Bearer {issue(SECRET, 'upload')}"}
    begun = time.perf_counter()
    with path.open("rb") as body:
        url = f"http://127.0.0.1:{port}/datasets"
        answer = httpx.post(url, params=shape, content=body, headers=headers, timeout=600)
    seconds = time.perf_counter() - begun
    answer.raise_for_status()
    return answer.json(), seconds, memory.stop()


def fetch(port: int, shards: list[str], n_requests: int) -> float:
    """Fetch shards by 64 clients, each one after the other on its own connection; return megabytes a second."""
    selector = selectors.DefaultSelector()
    todo = iter([shards[i % len(shards)] for i in range(n_requests)])
    buffer, total, begun = bytearray(1 << 20), 0, time.perf_counter()
    left: dict[socket.socket, int] = {}
    for _ in range(CLIENTS):
        opened = socket.create_connection(("127.0.0.1", port))
        selector.register(opened, selectors.EVENT_READ)
        left[opened] = 0
        ask(opened, next(todo))
    while left:
        for key, _ in selector.select():
            client = key.fileobj
            assert isinstance(client, socket.socket)
            n_bytes = client.recv_into(buffer)
            assert n_bytes, "the server hung up"
            total += n_bytes
            left[client] = (left[client] or length_of(bytes(buffer[:2000]))) - n_bytes
            if left[client] == 0 and (shard := next(todo, None)) is not None:
                ask(client, shard)
            elif left[client] == 0:
                selector.unregister(client)
                client.close()
                del left[client]
    return total / 1e6 / (time.perf_counter() - begun)


def take_turns(
    servers: dict[str, tuple[int, int]], shards: list[str], n_requests: int
) -> dict[str, list[tuple[float, float]]]:
    """Fetch from servers, given as (port, process id), in turns and in alternating order, since others use the machine.

    Returns for each server and round: megabytes a second, and milliseconds of its CPU for each shard.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in servers}
    for port, _ in servers.values():
        fetch(port, shards, len(shards) + CLIENTS)  # so that both have every file at hand
    for number in range(ROUNDS):
        for name in list(servers) if number % 2 else list(servers)[::-1]:
            port, pid = servers[name]
            before = cpu_seconds(pid)
            rate = fetch(port, shards, n_requests)
            found[name].append((rate, (cpu_seconds(pid) - before) / n_requests * 1000))
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its descendants have used."""
    return sum(int(Path(f"/proc/{one}/schedstat").read_text().split()[0]) for one in family(pid)) / 1e9


def ask(client: socket.socket, shard: str) -> None:
    """Send the request for a shard."""
    client.sendall(f"GET /shards/{shard}.zip HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())


def length_of(head: bytes) -> int:
    """Return the length of a whole answer from its beginning."""
    assert head.startswith(b"HTTP/1.1 200"), head
    lines = head[: head.index(b"\r\n\r\n")].lower().split(b"\r\n")
    (length,) = (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length"))
    return head.index(b"\r\n\r\n") + 4 + length


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Wait until a port is listened on."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise SystemExit(f"nothing listens on port {port}")


def measure(report: Report, folder: Path, path: Path, shape: dict[str, int], n_requests: int) -> None:
    """Upload and fetch; add rows and checks."""
    with data_server(folder) as (port, pid):
        told, seconds, peak_mb = upload(port, pid, path, shape)
        what = {"what": f"upload of {told['images']:,} pictures until ready", "seconds": seconds}
        report.rows.append(
            {**what, "MB": peak_mb, "per second": told["images"] / seconds, "unit": "pictures", "CPU ms each": "-"}
        )
        manifest = httpx.get(f"http://127.0.0.1:{port}/cuts/{told['cuts'][0]['id']}/manifest.json").json()
        shards = [shard["hash"] for shard in manifest["shards"]]
        with nginx(folder) as rival:
            servers = {"this server": (port, pid)} | ({"nginx": rival} if rival else {})
            visits = take_turns(servers, shards, n_requests)
    size = sum(shard["bytes"] for shard in manifest["shards"]) / len(shards) / 1e6
    for name, found in visits.items():
        rate, cpu_ms = (statistics.median(values) for values in zip(*found, strict=True))
        row = {"what": f"{n_requests} shards to {CLIENTS} clients, {name}", "seconds": n_requests * size / rate}
        report.rows.append({**row, "MB": size, "per second": rate, "unit": "MB", "CPU ms each": cpu_ms})
    scale = told["images"] / 50_000
    if scale >= 1:
        report.at_most("seconds for 50,000 pictures", seconds / scale, UPLOAD_SECONDS)
        report.at_most("MB of memory at the peak", peak_mb, UPLOAD_MB)
    else:
        report.notes.append("fewer than 50,000 pictures: the bounds of the upload are not checked")
    if "nginx" in visits:
        pairs = zip(visits["this server"], visits["nginx"], strict=True)
        share = statistics.median(ours[0] / theirs[0] for ours, theirs in pairs)
        report.at_least("share of nginx's rate, median of the rounds", share, NGINX_SHARE)
    else:
        report.notes.append("nginx is not installed (apt-get install nginx-light): no rival")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a zip of label folders of 32 x 32 colour pictures")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    report = Report("The data server")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shape = {"width": 32, "height": 32, "channels": 3}
        options.data = options.data or cached_zip("cifar10")
        if options.data is None:
            options.data, shape = digits_zip(folder / "digits.zip"), {"width": 8, "height": 8, "channels": 1}
            report.notes.append("data: scikit-learn's digits (give --data for real pictures)")
        measure(report, folder, options.data, shape, REQUESTS // 4 if options.quick else REQUESTS)
    report.print(options.json)


if __name__ == "__main__":
    main()
