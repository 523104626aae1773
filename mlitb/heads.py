"""HEAD wherever there is GET (RFC 9110, 9.3.2): monitors and `curl -I` ask so, FastAPI's routes do not by themselves.

Rules of this file:
- The application is asked with GET; the server (uvicorn) leaves the body out, because it knows the real method.
"""

from starlette.types import ASGIApp, Receive, Scope, Send


class Heads:
    """Answers HEAD as GET."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self.app(scope, receive, send)
