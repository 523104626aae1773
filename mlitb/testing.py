"""Routes of a project's test set: what it is tested on, and how it did.

Rules of this file:
- As in api.py: checks who asks, calls one method of the projects; what it means is decided in the core.
- A data set that is a test set is in use like one that is trained on: nobody can delete it.
"""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import Field

from mlitb.api import Body, Here, Owned
from mlitb.core.refusal import Refusal
from mlitb.data_client import fitting_cut

router = APIRouter(prefix="/api")


class Wish(Body):
    """What a project is to be tested on."""

    part: Literal["auto", "test", "validation", "upload", "none"]
    dataset: str = Field(default="", max_length=200)  # for "upload"


@router.put("/projects/{project}/test")
async def choose_test_set(shell: Owned, project: str, wish: Wish) -> dict[str, Any]:
    """Choose the test set: the data's own test or validation part, or a data set of its own."""
    view = shell.known(project)
    if (wish.part == "upload") != bool(wish.dataset):
        raise Refusal(422, 'dataset: name one with "part": "upload", and none with the others')
    manifest = None
    if wish.dataset:
        shape = view["input"]
        report = await shell.data_server.report(wish.dataset)
        cut = fitting_cut(report, shape["width"], shape["height"], shape["channels"])
        manifest = await shell.data_server.manifest(cut)
        await shell.data_server.use(wish.dataset, project)
    before = shell.projects.datasets(project)
    await shell.projects.test_on(project, wish.part, manifest)
    for dataset in sorted(before - shell.projects.datasets(project)):
        await shell.data_server.unuse(dataset, project)
    return shell.known(project)


@router.get("/projects/{project}/tests")
async def tests(shell: Here, project: str) -> list[dict[str, Any]]:
    """Return the figures of the evaluations on the present test set, thinned when they are many."""
    shell.known(project)
    return await shell.projects.tests(project)
