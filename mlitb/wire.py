"""Messages to frames and back, pure: bytes in, messages out.

Rules of this file:
- A frame is docs/architecture.md's: 16 bytes of header, a padded JSON head, a raw float32 vector. All little-endian.
- Heads are validated strictly against the dataclasses of core/messages.py; nothing is converted or guessed.
- A vector is a view into the received bytes; encoding copies it once.
- What a peer got wrong is Malformed, with the WebSocket close code that fits. What we got wrong is an AssertionError.
"""

import contextlib
import re
from collections.abc import Iterator
from math import isfinite
from struct import Struct
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, from_json

from mlitb.core.messages import VECTOR, FromClient, ToClient

Vector = NDArray[np.float32]

MAGIC = b"MLB\x01"
HEADER = Struct("<4sIII")  # magic, length of the head, length of the vector, zero
ALIGNMENT = 8
MAX_HEAD = 4_000_000
"""The longest head: Holds of a browser with 20,000 shards is 1.4 MB."""

LARGEST_NUMBER = 2**53
"""Beyond it JavaScript's numbers are not whole ones."""

ORDINARY = re.compile(rb'\{"type":"(\w+)",')
"""How the heads of our own clients begin."""

UNSUPPORTED, INVALID, TOO_LARGE = 1003, 1007, 1009
"""WebSocket close codes (RFC 6455, 7.4.1)."""


class Malformed(Exception):
    """A frame that cannot be read: a sentence, and the code to close the connection with."""

    def __init__(self, sentence: str, close_code: int = INVALID) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.close_code = close_code


def encode(message: FromClient | ToClient, vector: Vector | bytes | None = None) -> bytes:
    """Make a frame; `vector` is float32 (or its bytes) and only travels with the messages of VECTOR."""
    assert vector is None or isinstance(message, VECTOR), f"{type(message).__name__} has no vector"
    head = _head(message)
    head += b" " * (-len(head) % ALIGNMENT)
    if vector is None:
        return HEADER.pack(MAGIC, len(head), 0, 0) + head
    raw: Any = vector
    if isinstance(vector, np.ndarray):
        assert vector.dtype == np.dtype("<f4"), f"a vector is float32, not {vector.dtype}"
        raw = np.ascontiguousarray(vector).data.cast("B")
    return b"".join((HEADER.pack(MAGIC, len(head), len(raw) // 4, 0), head, raw))


def decode_client(data: bytes) -> tuple[FromClient, Vector | None]:
    """Read what a client sent; raises Malformed."""
    message, vector = _decode(data, FROM_CLIENT)
    return cast(FromClient, message), vector


def decode_server(data: bytes) -> tuple[ToClient, Vector | None]:
    """Read what a master sent; raises Malformed."""
    message, vector = _decode(data, TO_CLIENT)
    return cast(ToClient, message), vector


FROM_CLIENT: dict[str, type] = {kind.__name__: kind for kind in get_args(FromClient)}
TO_CLIENT: dict[str, type] = {kind.__name__: kind for kind in get_args(ToClient)}

ADAPTERS: dict[type, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (*FROM_CLIENT.values(), *TO_CLIENT.values())
}


def _bounded(schema: Any) -> Any:
    """Give a core schema whose numbers are finite and within 2⁵³; raises LookupError where anything may stand."""
    if isinstance(schema, list):
        return [_bounded(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    kind = schema.get("type")
    if kind == "any":
        raise LookupError
    bounds: dict[str, Any] = {"float": {"allow_inf_nan": False}, "int": {"ge": -LARGEST_NUMBER, "le": LARGEST_NUMBER}}
    return bounds.get(str(kind), {}) | {key: _bounded(value) for key, value in schema.items()}  # its own bounds stay


def _quick() -> Iterator[tuple[bytes, SchemaValidator]]:
    for name, kind in FROM_CLIENT.items():
        with contextlib.suppress(LookupError):
            yield name.encode(), SchemaValidator(_bounded(ADAPTERS[kind].core_schema))


QUICK = dict(_quick())
"""Validators that see in one reading that all is right; what is not is read with care."""


def _head(message: FromClient | ToClient) -> bytes:
    kind = type(message)
    body = ADAPTERS[kind].dump_json(message)
    return b'{"type":"' + kind.__name__.encode() + b'",' + body[1:]


def _decode(data: bytes, kinds: dict[str, type]) -> tuple[object, Vector | None]:
    head, values = _split(data)
    message = _read(bytes(head), kinds)
    if not values:
        return message, None
    if not isinstance(message, VECTOR):
        raise Malformed(f"{type(message).__name__} does not travel with a vector, this one has {values} values")
    return message, np.frombuffer(data, "<f4", values, HEADER.size + len(head))


def _split(data: bytes) -> tuple[memoryview, int]:
    """Check the header against the frame; give the head and the number of float32 values behind it."""
    if len(data) < HEADER.size:
        raise Malformed(f"a frame has at least {HEADER.size} bytes, this one {len(data)}", UNSUPPORTED)
    magic, length, values, zero = HEADER.unpack_from(data)
    if magic[:3] != MAGIC[:3]:
        raise Malformed("a frame begins with MLB, this one does not", UNSUPPORTED)
    if magic != MAGIC:
        raise Malformed(f"frame format {magic[3]} is not known here, only {MAGIC[3]}", UNSUPPORTED)
    if length > MAX_HEAD:
        raise Malformed(f"a head of {length} bytes is longer than {MAX_HEAD}", TOO_LARGE)
    if length % ALIGNMENT or zero:
        raise Malformed(f"the header is wrong: head of {length} bytes, last word {zero}")
    if HEADER.size + length + 4 * values != len(data):
        raise Malformed(f"the header tells of {HEADER.size + length + 4 * values} bytes, the frame has {len(data)}")
    return memoryview(data)[HEADER.size : HEADER.size + length], values


def _read(head: bytes, kinds: dict[str, type]) -> object:
    begin = ORDINARY.match(head)
    if begin and kinds is FROM_CLIENT and (quick := QUICK.get(begin[1])):
        try:
            return quick.validate_json(head, strict=True)
        except ValidationError:
            return _read_with_care(head, kinds)  # where what is wrong gets its sentence
    return _read_with_care(head, kinds)


def _read_with_care(head: bytes, kinds: dict[str, type]) -> object:
    try:
        raw = from_json(head, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed(f"the head is not JSON: {error}") from error
    name = raw.get("type") if isinstance(raw, dict) else None
    if not isinstance(name, str) or name not in kinds:
        raise Malformed(f"there is no message of type {str(name)[:64]!r}")
    if not _numbers_fit(raw):
        raise Malformed(f"{name}: a number is not finite or beyond 2⁵³")
    try:
        return ADAPTERS[kinds[name]].validate_json(head, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise Malformed(f"{name}: {place}: {first['msg']}"[:200]) from error


def _numbers_fit(value: Any) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    if isinstance(value, int):
        return -LARGEST_NUMBER <= value <= LARGEST_NUMBER
    if isinstance(value, dict):
        return all(map(_numbers_fit, value.values()))
    if isinstance(value, list):
        return all(map(_numbers_fit, value))
    return True
