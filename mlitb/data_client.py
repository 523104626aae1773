"""The master's side of its one data server: reports, manifests, and the register of uses.

Rules of this file:
- The master never trusts what a browser says of a data set: it reads the manifest here, by id.
- Every failure is a DataServerError with a status and a sentence; nothing is retried silently.
"""

import ssl
from typing import Any

import httpx

from mlitb.access import Tickets

TIMEOUT_S = 10.0
READING_TIMEOUT_S = 120.0
"""For pictures that are read and cut before the answer comes, after those of others."""


class DataServerError(RuntimeError):
    """The data server did not do what was asked; `status` is for the one who asked the master."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class DataServer:
    """One data server, by its address as the master sees it."""

    def __init__(self, url: str, tickets: Tickets, verify: ssl.SSLContext | bool = True) -> None:
        self.url = url
        self.verify = verify
        self._tickets = tickets
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False, verify=verify)

    async def close(self) -> None:
        """Close idle connections."""
        await self._http.aclose()

    async def report(self, dataset: str) -> dict[str, Any]:
        """Return a data set's report."""
        return await self._ask("GET", f"/datasets/{_part(dataset)}")

    async def manifest(self, cut: str) -> dict[str, Any]:
        """Return a cut's manifest."""
        return await self._ask("GET", f"/cuts/{_part(cut)}/manifest.json")

    async def upload(self, zipped: bytes, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make a data set of a zip, with the cut that is wanted; return its report."""
        return await self._ask("POST", "/datasets", ticket="upload", body=zipped, query=wanted)

    async def add_pictures(self, dataset: str, zipped: bytes) -> dict[str, Any]:
        """Add a zip of label folders to a data set; return the report of its new version."""
        return await self._ask("POST", f"/datasets/{_part(dataset)}/images", ticket="edit", body=zipped)

    async def use(self, dataset: str, project: str) -> None:
        """Register that a project uses a data set, so that nobody deletes it."""
        await self._ask("PUT", f"/datasets/{_part(dataset)}/uses/{_part(project)}", ticket="use")

    async def unuse(self, dataset: str, project: str) -> None:
        """Take the registration back."""
        await self._ask("DELETE", f"/datasets/{_part(dataset)}/uses/{_part(project)}", ticket="use")

    async def _ask(
        self, method: str, path: str, ticket: str = "", body: bytes = b"", query: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {self._tickets.issue(ticket)}"} if ticket else {}
        timeout = TIMEOUT_S
        if body:
            headers["content-type"] = "application/zip"
            timeout = READING_TIMEOUT_S
        try:
            answer = await self._http.request(
                method, path, headers=headers, content=body, params=query, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise DataServerError(
                503, f"the data server at {self.url} does not answer ({type(error).__name__}): is it running?"
            ) from error
        if answer.is_error:
            raise DataServerError(answer.status_code if answer.status_code < 500 else 502, _sentence(answer))
        if not answer.content:
            return {}
        body = answer.json()
        assert isinstance(body, dict), body
        return body


def _part(name: str) -> str:
    """Return one path segment; raise DataServerError for what can be none."""
    if not name or len(name) > 200 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise DataServerError(404, f"there is no data set {name[:60]!r}")
    return name


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the data server answered {answer.status_code}"


def fitting_cut(report: dict[str, Any], width: int, height: int, channels: int) -> str:
    """Return the newest cut that a network's input takes; raise DataServerError naming both shapes when none does."""
    cuts = report["cuts"]
    for cut in reversed(cuts):
        if (cut["width"], cut["height"], cut["channels"]) == (width, height, channels):
            return str(cut["id"])
    have = ", ".join(f"{cut['width']}×{cut['height']}×{cut['channels']}" for cut in cuts) or "none"
    raise DataServerError(
        409,
        f"the network takes pictures of {width}×{height}×{channels}, but the data set {report['name']!r} is cut to "
        f"{have}: cut it again for this project",
    )
