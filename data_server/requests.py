"""What requests must bring: the parameters of a cut, changes, and a ticket."""

from typing import Any

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_server import tickets
from data_server.refusal import Refusal
from data_server.uploads import Wanted
from mlitb.pixels import MAX_SIDE, Mode


class CutQuery(BaseModel):
    """What cut is wanted, as query parameters."""

    model_config = ConfigDict(extra="forbid")
    width: int = Field(ge=1, le=MAX_SIDE)
    height: int = Field(ge=1, le=MAX_SIDE)
    channels: int = Field(default=3)
    mode: Mode = "crop"
    seed: int = Field(default=0, ge=0, lt=2**32)
    validation: float = Field(default=0.0, ge=0, le=0.9)
    duplicates: str = Field(default="keep", pattern="^(keep|drop)$")


class UploadQuery(CutQuery):
    """The same for an upload, with the data set's name."""

    name: str = Field(default="", max_length=100)


class Changes(BaseModel):
    """What is to change about a data set."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(default="", max_length=100)
    labels: dict[str, str] = Field(default_factory=dict)  # old name -> new; two with the same new name become one


def wanted_of(fields: dict[str, str]) -> Wanted:
    """Read what an upload is to become from a mapping of words, as from a query; raises Refusal."""
    try:
        return Wanted.of(UploadQuery.model_validate(fields).model_dump())
    except ValidationError as error:
        raise Refusal(422, sentence(error.errors())) from error


def changes_of(body: bytes) -> Changes:
    """Read what is to change from a JSON body; raises Refusal."""
    try:
        return Changes.model_validate_json(body)
    except ValidationError as error:
        raise Refusal(422, sentence(error.errors())) from error


async def body_of(request: Request, most: int) -> bytes:
    """Return a request's body, after the ticket was checked; raises Refusal when it is too large."""
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > most:
            raise Refusal(413, f"a body of more than {most:,} bytes, the most that is taken here")
    return bytes(data)


def sentence(errors: Any) -> str:
    """Put what pydantic found wrong into one sentence."""
    where = [".".join(str(part) for part in one["loc"] if part not in ("query", "body")) for one in errors]
    return "; ".join(f"{place}: {one['msg']}" for place, one in zip(where, errors, strict=True))


def ticket_for(action: tickets.Action) -> Any:
    """Make the dependency that lets a request through only with a ticket for this action."""

    def check(request: Request) -> None:
        try:
            tickets.check(request.app.state.settings.secret, request.headers.get("authorization", ""), action)
        except tickets.BadTicket as error:
            raise Refusal(403, str(error)) from error

    return Depends(check)
