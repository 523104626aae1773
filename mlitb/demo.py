"""The demo project: scikit-learn's handwritten digits, uploaded the way that every user uploads.

Rules of this file:
- Speaks HTTP to master and data server with the owner's token, like any client; nothing is put in by the back door.
- What is there already is left alone, so a second start finds the project as it was.
"""

import asyncio
import ssl
import tempfile
from pathlib import Path
from typing import Any

import httpx

from mlitb.datasets import DatasetFailed, digits_zip

PROJECT = "digits"
LAYERS: list[dict[str, Any]] = [
    {"type": "input", "width": 8, "height": 8, "channels": 1},
    {"type": "conv", "filters": 16, "kernel": 3, "stride": 1, "padding": 1},
    {"type": "relu"},
    {"type": "max_pool", "size": 2, "stride": 2},
    {"type": "fully_connected"},
    {"type": "softmax"},
]
PERIOD_S = 1.0
"""Short, because a demo should be seen to learn."""

LEARNING_RATE = 0.05
"""AdaGrad on the mean of nearly all digits at once: 4 to 6 % test error after 30 iterations, 0.01 gives 9 %."""

WARMUP = 5
"""AdaGrad's first step moves every weight by the whole rate: without a warm-up the loss first triples."""

TIMEOUT_S = 120.0


class DemoFailed(RuntimeError):
    """The demo project could not be made; the message says at which step and why."""


async def make_demo(master: str, data_server: str, token: str, verify: ssl.SSLContext | bool) -> None:
    """Make the project `digits` with its data and start it, unless it exists."""
    async with httpx.AsyncClient(trust_env=False, timeout=TIMEOUT_S, verify=verify) as http:
        if (await http.get(f"{master}/api/projects/{PROJECT}")).is_success:
            return
        owner = {"authorization": f"Bearer {token}"}
        ticket = await _post(http, f"{master}/api/tickets", owner, json={"action": "upload"})
        dataset = await _upload(http, data_server, ticket["ticket"])
        settings = {"period": PERIOD_S, "learning_rate": LEARNING_RATE, "warmup": WARMUP}
        body = {"name": PROJECT, "layers": LAYERS, "settings": settings}
        project = (await _post(http, f"{master}/api/projects", owner, json=body))["id"]
        await _post(http, f"{master}/api/projects/{project}/data", owner, json={"dataset": dataset})
        await _post(http, f"{master}/api/projects/{project}/start", owner)


async def _upload(http: httpx.AsyncClient, data_server: str, ticket: str) -> str:
    with tempfile.TemporaryDirectory(prefix="mlitb-demo-") as folder:
        path = Path(folder) / "digits.zip"
        try:
            await asyncio.to_thread(digits_zip, path)
        except DatasetFailed as error:
            raise DemoFailed(str(error)) from error
        shape = {"name": PROJECT, "width": "8", "height": "8", "channels": "1", "mode": "crop", "seed": "0"}
        headers = {"authorization": f"Bearer {ticket}", "content-type": "application/zip"}
        report = await _post(http, f"{data_server}/datasets", headers, params=shape, content=path.read_bytes())
    return str(report["id"])


async def _post(http: httpx.AsyncClient, url: str, headers: dict[str, str], **options: Any) -> dict[str, Any]:
    answer = await http.post(url, headers=headers, **options)
    if answer.is_error:
        raise DemoFailed(f"the demo project could not be made: {url} answered {answer.status_code}: {answer.text}")
    body = answer.json()
    assert isinstance(body, dict), body
    return body
