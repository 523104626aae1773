"""Kill -9 at random moments, again and again: `make soak`, or `.venv/bin/python tests/soak.py --rounds 3`.

Two real browsers train the demo project while projects are made, settings changed and pictures uploaded. Each round
kills the master, the data server or both, starts what has to be started, and then asks: do the browsers train again
within 10 s, without a click or a reload; does the iteration go on; is everything that was acknowledged still there?

Rules of this file:
- Moments and victims come from a seeded generator; everything else is real: processes, ports, Chromium.
- What was acknowledged is written down only when the answer arrived, and compared after every round.
"""

import argparse
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import BrowserContext, Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.browser.chromium import launch
from tests.running import command, free_port, until

BOUND_S = 10.0
"""Browsers train again within so long after the servers were started again."""

LOST_S = 10.0
"""What may be lost of training: the time between two checkpoints."""

VICTIMS = ("master", "data server", "both")


@dataclass
class Acknowledged:
    """Everything that some server said is done."""

    projects: dict[str, dict[str, Any]] = field(default_factory=dict)  # id -> what it must look like
    datasets: dict[str, int] = field(default_factory=dict)  # id -> images


@dataclass
class Row:
    """One round."""

    round: int
    victim: str
    during: str
    iteration_before: int
    iteration_after: int
    loss_before: float
    loss_after: float
    ready_s: float
    training_s: float
    projects: int
    datasets: int


class Servers:
    """`mlitb up` on fixed ports and a folder, started as often as it takes."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port, self.data_port = free_port(), free_port()
        self.master = f"http://127.0.0.1:{self.port}"
        self.data_server = f"http://127.0.0.1:{self.data_port}"
        self.log = (data_dir.parent / "servers.log").open("ab")
        self.process = self.start()
        self.token = (data_dir / "owner-token").read_text().strip()
        headers = {"authorization": f"Bearer {self.token}"}
        self.http = httpx.Client(headers=headers, trust_env=False, timeout=30)

    def start(self) -> "subprocess.Popen[bytes]":
        """Start and wait until the link is printed."""
        arguments = ["up", "--demo", "--port", str(self.port), "--data-port", str(self.data_port)]
        process = subprocess.Popen(
            command(*arguments, "--data-dir", str(self.data_dir)), stdout=subprocess.PIPE, stderr=self.log
        )
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        assert re.search(r"http://\S+", line), f"the servers did not start: see {self.log.name}"
        return process

    def children(self) -> list[int]:
        """Return the ids of the master's child processes."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill(self, victim: str) -> None:
        """Kill -9; when it was the master, start again."""
        children = self.children() if victim != "master" else []
        if victim != "data server":
            self.process.kill()
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        if victim != "data server":
            self.process.wait()
            self.process = self.start()

    def stop(self) -> None:
        """End in order."""
        self.http.close()
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def get(self, path: str) -> Any:
        """Ask the master."""
        answer = self.http.get(self.master + path)
        answer.raise_for_status()
        return answer.json()

    def status(self) -> dict[str, Any]:
        """Return the demo project's status."""
        status: dict[str, Any] = self.get("/api/projects/digits")["status"]
        return status


# -------------------------------------------------------------------------------------------------- what is done
def pictures(seed: int, count: int = 400) -> bytes:
    """Make a zip of noise in two folders."""
    noise = np.random.default_rng(seed)
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        for number in range(count):
            image = io.BytesIO()
            Image.fromarray(noise.integers(0, 255, (8, 8), dtype=np.uint8)).save(image, "PNG")
            archive.writestr(f"{number % 2}/{number}.png", image.getvalue())
    return body.getvalue()


def upload(servers: Servers, seed: int, done: Acknowledged) -> None:
    """Upload pictures; write down what was acknowledged. That the server dies meanwhile is the point."""
    shape = {"name": f"noise {seed}", "width": "8", "height": "8", "channels": "1"}
    try:
        ticket = httpx.post(
            f"{servers.master}/api/tickets", json={"action": "upload"}, headers=servers.http.headers, trust_env=False
        ).json()["ticket"]
        answer = httpx.post(
            f"{servers.data_server}/datasets", params=shape, content=pictures(seed), trust_env=False, timeout=60,
            headers={"authorization": f"Bearer {ticket}"},
        )  # fmt: skip
    except httpx.TransportError:
        return
    if answer.status_code == 201:
        report = answer.json()
        done.datasets[report["id"]] = report["images"]


def make_and_change(servers: Servers, number: int, done: Acknowledged, chance: random.Random) -> None:
    """Make a project and change the demo's settings; both are acknowledged."""
    layers = [
        {"type": "input", "width": 8, "height": 8, "channels": 1},
        {"type": "fully_connected"},
        {"type": "softmax"},
    ]
    body = {"name": f"made {number}", "layers": layers, "settings": {"learning_rate": 0.01 * (number + 1)}}
    made = servers.http.post(f"{servers.master}/api/projects", json=body)
    made.raise_for_status()
    view = made.json()
    done.projects[view["id"]] = {key: view[key] for key in ("name", "settings")}
    rate = round(chance.uniform(0.02, 0.06), 4)
    servers.http.patch(f"{servers.master}/api/projects/digits", json={"learning_rate": rate}).raise_for_status()
    done.projects["digits"] = {"rate": rate}


def missing(servers: Servers, done: Acknowledged) -> list[str]:
    """Name what was acknowledged and is not there."""
    found = {view["id"]: view for view in servers.get("/api/projects")}
    lost = [f"project {project}" for project in done.projects if project not in found]
    for project, expected in done.projects.items():
        settings = found.get(project, {}).get("settings", {})
        if "rate" in expected and settings.get("learning_rate") != expected["rate"]:
            lost.append(f"learning rate of {project}: {settings.get('learning_rate')} is not {expected['rate']}")
        if "settings" in expected and settings != expected["settings"]:
            lost.append(f"settings of {project}")
    known = {row["id"]: row["images"] for row in servers.http.get(f"{servers.data_server}/datasets").json()}
    lost += [f"data set {name}" for name, images in done.datasets.items() if known.get(name) != images]
    return lost


# -------------------------------------------------------------------------------------------------- one round
def trains(servers: Servers, beyond: int) -> dict[str, Any] | None:
    """Return the status once both browsers train and an iteration with their work is done; None before."""
    try:
        status = servers.status()
    except httpx.HTTPError:
        return None
    working = status["trainers"] == 2 and status["iteration"] > beyond and status["vectors"] > 0
    return status if working else None


def data_server_answers(servers: Servers) -> bool:
    """Tell whether the data server is back."""
    try:
        return httpx.get(f"{servers.data_server}/healthz", trust_env=False, timeout=1).is_success
    except httpx.TransportError:
        return False


def play(servers: Servers, pages: list[Page], number: int, chance: random.Random, done: Acknowledged) -> Row:
    """Kill something at some moment, bring it back, and look; raise AssertionError naming what is wrong."""
    victim = VICTIMS[number % 3] if number < 3 else chance.choice(VICTIMS)
    during = chance.choice(("training", "upload"))
    make_and_change(servers, number, done, chance)
    sending = threading.Thread(target=upload, args=(servers, number, done))
    time.sleep(chance.uniform(0.0, 4.0))  # the moment is what this is about
    if during == "upload":
        sending.start()
        time.sleep(chance.uniform(0.0, 2.5))  # some are acknowledged by then, some are not
    before = servers.status()
    killed_at = time.monotonic()
    servers.kill(victim)
    until(lambda: data_server_answers(servers), "the data server answers", 30)
    started_at = time.monotonic()
    first = servers.status()["iteration"]
    try:
        after = until(lambda: trains(servers, first), "both browsers train again", 60)
    except AssertionError:
        said = [page.locator("body").inner_text()[:3000] for page in pages]
        print(servers.status(), *said, sep="\n----\n", file=sys.stderr)
        raise
    now = time.monotonic()
    if during == "upload":
        sending.join()
    check_round(servers, pages, before, after, done)
    assert now - started_at <= BOUND_S, f"training took {now - started_at:.1f} s to go on"
    return Row(
        number + 1, victim, during, before["iteration"], after["iteration"], round(before["loss"], 4),
        round(after["loss"], 4), round(started_at - killed_at, 2), round(now - started_at, 2), len(done.projects),
        len(done.datasets),
    )  # fmt: skip


def check_round(
    servers: Servers, pages: list[Page], before: dict[str, Any], after: dict[str, Any], done: Acknowledged
) -> None:
    """Assert that nothing acknowledged is gone, that training went on, and that the pages did so by themselves."""
    assert not (lost := missing(servers, done)), f"lost: {', '.join(lost)}"
    floor = before["iteration"] - LOST_S / before["period"] - 2
    assert after["iteration"] >= floor, f"iteration {before['iteration']} became {after['iteration']}"
    if before["iteration"] > 20:
        assert after["loss"] < 1.0, f"the loss was {before['loss']:.3f} and is {after['loss']:.3f}: it began anew"
    iterations = [row["iteration"] for row in servers.get("/api/projects/digits/history")]
    assert iterations == sorted(set(iterations))
    assert len(iterations) >= floor, f"{len(iterations)} iterations of history before iteration {after['iteration']}"
    assert all(page.evaluate("window.soak") == "untouched" for page in pages), "a page was loaded again"


def join(browser: BrowserContext, servers: Servers) -> Page:
    """Open the demo project and add a worker: the only click of the day."""
    page = browser.new_page()
    page.goto(f"{servers.master}/project/digits")
    page.get_by_test_id("add-worker").click()
    page.evaluate("window.soak = 'untouched'")
    return page


def soak(rounds: int, seed: int, folder: Path) -> list[Row]:
    """Play so many rounds; return a row for each."""
    chance, done, rows = random.Random(seed), Acknowledged(), []
    servers = Servers(folder / "data")
    try:
        with sync_playwright() as real, launch(real.chromium) as one, launch(real.chromium) as two:
            pages = [join(browser, servers) for browser in (one, two)]
            until(lambda: trains(servers, 0), "both browsers train", 60)
            for number in range(rounds):
                rows.append(play(servers, pages, number, chance, done))
                print(table(rows[-1:]), file=sys.stderr, flush=True)
    finally:
        servers.stop()
    return rows


def table(rows: list[Row]) -> str:
    """Print rows as Markdown."""
    return "\n".join(
        f"| {r.round} | {r.victim} | {r.during} | {r.iteration_before} | {r.iteration_after} | {r.loss_before} | "
        f"{r.loss_after} | {r.ready_s} | {r.training_s} | {r.projects} | {r.datasets} |"
        for r in rows
    )


HEAD = """| round | killed | during | iteration before | after | loss before | after | servers back, s | training, s | projects kept | data sets kept |
|---|---|---|---|---|---|---|---|---|---|---|"""  # noqa: E501


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=2015)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, default=None, help="keep data and log here")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlitb-soak-") as temporary:
        rows = soak(chosen.rounds, chosen.seed, chosen.folder or Path(temporary))
    if chosen.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        print(HEAD, table(rows), sep="\n")


if __name__ == "__main__":
    main()
