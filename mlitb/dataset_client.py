"""The owner's way to the data server: tickets from the master, resumable uploads, lists and downloads.

Rules of this file:
- HTTP only; everything a user can cause is a DatasetFailed with a sentence.
- An upload goes by tus in pieces; when the connection breaks it asks where to go on. tuspy would do it too, but
  brings requests, aiohttp and a database; it is what the data server's tests speak with.
"""

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from mlitb.datasets import DatasetFailed, Progress
from mlitb.settings import SettingsError
from mlitb.tls import advice, trusting

PIECE_BYTES = 8_000_000
RETRIES = 6  # with 0.5, 1, 2 … s between them: half a minute without a network
POLL_SECONDS = 0.25
TIMEOUT = httpx.Timeout(30, read=120)
TUS = {"tus-resumable": "1.0.0"}


class DatasetClient:
    """A running system, by the link that it printed."""

    def __init__(self, link: str, token: str = "", ca: Path | None = None) -> None:
        parts = urlsplit(link if "://" in link else f"http://{link}")
        self._master = f"{parts.scheme}://{parts.netloc}"
        self._token = token or parse_qs(parts.query).get("token", [""])[0]
        try:
            self._http = httpx.Client(timeout=TIMEOUT, trust_env=False, verify=trusting(ca))
        except SettingsError as error:
            raise DatasetFailed(str(error)) from error
        self._data = str(self._ask("GET", f"{self._master}/api/config").json()["data_url"])

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def list(self) -> list[dict[str, Any]]:
        """Return all data sets' reports."""
        reports: list[dict[str, Any]] = self._ask("GET", f"{self._data}/datasets").json()
        return reports

    def show(self, dataset: str) -> dict[str, Any]:
        """Return one data set's report."""
        return _body(self._ask("GET", self._address(dataset)))

    def delete(self, dataset: str) -> None:
        """Delete a data set."""
        self._ask("DELETE", self._address(dataset), headers=self._ticket("delete"))

    def download(self, dataset: str, path: Path) -> None:
        """Write a data set as a zip of label folders."""
        beside = path.with_suffix(".part")
        try:
            with self._http.stream("GET", f"{self._address(dataset)}/archive.zip") as answer:
                if answer.is_error:
                    answer.read()
                    raise DatasetFailed(_sentence(answer))
                with beside.open("wb") as out:
                    for part in answer.iter_raw():
                        out.write(part)
        except httpx.HTTPError as error:
            raise DatasetFailed(f"the download broke off: {error or type(error).__name__}") from error
        beside.replace(path)

    def upload(
        self, path: Path, fields: dict[str, str], sent: Progress, read: Progress, waits: Callable[[int], None]
    ) -> dict[str, Any]:
        """Upload a zip and wait until it is ready; return its report.

        Tells bytes sent, pictures read, and, when it changes, how many uploads are read before this one.
        """
        length = path.stat().st_size
        metadata = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in fields.items())
        headers = {**self._ticket("upload"), **TUS, "upload-length": str(length), "upload-metadata": metadata}
        url = self._data + self._ask("POST", f"{self._data}/uploads", headers=headers).headers["location"]
        offset = 0
        for offset in self._pieces(url, path, length):
            sent(offset, length)
        return self._outcome(url, read, waits)

    def _pieces(self, url: str, path: Path, length: int) -> Iterator[int]:
        """Send a file's bytes, going on where the server says after a break; yields the offset."""
        offset, failures = 0, 0
        while offset < length:
            with path.open("rb") as file:
                file.seek(offset)
                piece = file.read(PIECE_BYTES)
            try:
                offset = self._send(url, offset, piece)
                failures = 0
                yield offset
            except httpx.TransportError as error:
                failures += 1
                if failures > RETRIES:
                    raise DatasetFailed(f"the upload broke off at {offset:,} of {length:,} bytes: {error}") from error
                time.sleep(0.25 * 2**failures)
                offset = self._offset(url, offset)

    def _send(self, url: str, offset: int, piece: bytes) -> int:
        kind = {"content-type": "application/offset+octet-stream", "upload-offset": str(offset)}
        answer = self._http.patch(url, content=piece, headers={**self._ticket("upload"), **TUS, **kind})
        if answer.is_error:
            raise DatasetFailed(_sentence(answer))
        return int(answer.headers["upload-offset"])

    def _offset(self, url: str, otherwise: int) -> int:
        try:
            answer = self._http.head(url, headers={**self._ticket("upload"), **TUS})
        except (httpx.TransportError, DatasetFailed):
            return otherwise  # still no connection: the next piece will fail and be counted
        return int(answer.headers.get("upload-offset", otherwise))

    def _outcome(self, url: str, read: Progress, waits: Callable[[int], None]) -> dict[str, Any]:
        ahead = 0
        while True:
            told = _body(self._ask("GET", url, headers=self._ticket("upload")))
            if told["state"] == "failed":
                raise DatasetFailed(told["detail"])
            if told["state"] == "ready":
                report: dict[str, Any] = told["report"]
                return report
            if told["ahead"] != ahead:
                waits(ahead := told["ahead"])
            read(told["read"], told["entries"])
            time.sleep(POLL_SECONDS)

    def _address(self, dataset: str) -> str:
        if not dataset.isalnum():
            raise DatasetFailed(f"{dataset!r} is no data set's id: see `mlitb dataset list`")
        return f"{self._data}/datasets/{dataset}"

    def _ticket(self, action: str) -> dict[str, str]:
        owner = {"authorization": f"Bearer {self._token}"}
        answer = self._ask("POST", f"{self._master}/api/tickets", headers=owner, json={"action": action})
        return {"authorization": f"Bearer {answer.json()['ticket']}"}

    def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, url, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            address = urlsplit(url)
            why = advice(error, self._master) or str(error) or type(error).__name__
            raise DatasetFailed(f"nothing answers at {address.scheme}://{address.netloc}: {why}") from error
        if answer.is_error:
            raise DatasetFailed(_sentence(answer))
        return answer


def _body(answer: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    return body


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url.host} answered with status {answer.status_code}"
