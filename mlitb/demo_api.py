"""The route that makes the demo project: the first page's one click to something that learns.

Rules of this file:
- As in api.py: checks who asks and calls one function; demo.py does it, over HTTP, as `mlitb up --demo` does.
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException

from mlitb.api import Owned
from mlitb.demo import PROJECT, DemoFailed, make_demo

router = APIRouter(prefix="/api")


@router.post("/demo", status_code=201)
async def demo(shell: Owned, request: Request) -> dict[str, Any]:
    """Make the demo project with its data and start it, unless it exists."""
    making: asyncio.Lock = request.app.state.demo  # two clicks, one project
    async with making:
        try:
            own = shell.data_server
            await make_demo(shell.settings.own_url, own.url, shell.owner.token, own.verify)
        except DemoFailed as error:
            raise HTTPException(503, str(error)) from error
    return shell.known(PROJECT)
