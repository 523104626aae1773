"""Frames: golden ones of both languages, round trips of any message, and everything that a peer can get wrong."""

import json
import string
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlitb import wire
from mlitb.core import messages as m

GOLDEN = json.loads((Path(__file__).parent / "golden/frames.json").read_text())
KINDS = [*get_args(m.FromClient), *get_args(m.ToClient)]

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.integers(-(2**53), 2**53)
finite = st.floats(allow_nan=False, allow_infinity=False)
plain: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | finite | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=5,
)
for kind, strategy in ((str, text), (int, numbers), (float, finite)):
    st.register_type_strategy(kind, strategy)
st.register_type_strategy(dict, st.dictionaries(text, plain))


def read(data: bytes) -> tuple[object, Any]:
    head = json.loads(data[16 : 16 + int.from_bytes(data[4:8], "little")])
    name = head["type"]
    decode: Callable[[bytes], Any] = wire.decode_client if name in wire.FROM_CLIENT else wire.decode_server
    return decode(data)  # type: ignore[no-any-return]


def frame(head: str | bytes, vector: bytes = b"", **fields: int) -> bytes:
    raw = head.encode() if isinstance(head, str) else head
    raw += b" " * (-len(raw) % 8)
    values = {"length": len(raw), "values": len(vector) // 4, "zero": 0, **fields}
    return wire.HEADER.pack(wire.MAGIC, values["length"], values["values"], values["zero"]) + raw + vector


def test_golden_frames_hold_every_message() -> None:
    assert {row["type"] for row in GOLDEN["frames"]} == {kind.__name__ for kind in KINDS}
    assert GOLDEN["protocol"] == m.PROTOCOL


@pytest.mark.parametrize("row", GOLDEN["frames"], ids=lambda row: row["type"])
@pytest.mark.parametrize("writer", ["python", "javascript"])
def test_golden_frames_of_both_languages_are_read(row: dict[str, Any], writer: str) -> None:
    message, vector = read(bytes.fromhex(row[writer]))
    assert json.loads(json.dumps({"type": type(message).__name__, **asdict(message)})) == row["message"]  # type: ignore[call-overload]
    expected = row["vector"] and np.array(row["vector"], np.float32)
    assert np.array_equal(vector, expected) if row["vector"] else vector is None


@pytest.mark.parametrize("row", GOLDEN["frames"], ids=lambda row: row["type"])
def test_frames_are_written_as_they_always_were(row: dict[str, Any]) -> None:
    message, vector = read(bytes.fromhex(row["python"]))
    assert wire.encode(message, vector).hex() == row["python"]  # type: ignore[arg-type]


@given(st.one_of([st.from_type(kind) for kind in KINDS if kind not in m.VECTOR]))
def test_any_message_survives_the_way(message: Any) -> None:
    data = wire.encode(message)
    assert read(data) == (message, None)
    assert len(data) % 8 == 0


@given(st.from_type(m.Answer), st.lists(st.floats(width=32), max_size=20))
def test_vectors_survive_bit_by_bit(message: m.Answer, values: list[float]) -> None:
    vector = np.array(values, np.float32)
    again, got = wire.decode_client(wire.encode(message, vector))
    assert again == message
    assert (b"" if got is None else got.tobytes()) == vector.tobytes()


def test_a_decoded_vector_is_a_view() -> None:
    data = wire.encode(m.Parameters("p", 1, 1), np.arange(5, dtype=np.float32))
    _, vector = wire.decode_server(data)
    assert vector is not None
    assert not vector.flags.owndata
    assert vector.ctypes.data % 4 == np.frombuffer(data, np.uint8).ctypes.data % 4  # aligned as the frame is


def test_defaults_may_be_left_out() -> None:
    message, _ = wire.decode_client(frame('{"type":"Join","project":"p","worker":1}'))
    assert message == m.Join("p", 1)


def test_whole_numbers_pass_as_floats_but_not_the_other_way() -> None:
    message, _ = wire.decode_client(frame('{"type":"Join","project":"p","worker":1,"intensity":1}'))
    assert isinstance(message, m.Join)
    assert message.intensity == 1.0
    with pytest.raises(wire.Malformed, match="worker"):
        wire.decode_client(frame('{"type":"Join","project":"p","worker":1.5}'))


WRONG = {
    "short": (b"MLB\x01", 1003, "at least 16 bytes"),
    "other magic": (b"HTTP" + bytes(20), 1003, "begins with MLB"),
    "other format": (b"MLB\x02" + bytes(20), 1003, "format 2"),
    "cut off": (frame('{"type":"Watch","project":"p"}')[:-1], 1007, "the frame has"),
    "more than told": (frame('{"type":"Watch","project":"p"}') + b"x", 1007, "the frame has"),
    "unaligned head": (wire.HEADER.pack(wire.MAGIC, 2, 0, 0) + b"{}", 1007, "head of 2 bytes"),
    "last word": (frame('{"type":"Watch","project":"p"}', zero=1), 1007, "last word 1"),
    "endless head": (frame("{}", length=0xFFFFFFF8), 1009, "longer than"),
    "no JSON": (frame("hello"), 1007, "not JSON"),
    "no UTF-8": (frame(b'{"type":"Watch","project":"\xff\xfe"}'), 1007, "not JSON"),
    "lone surrogate": (frame('{"type":"Watch","project":"\\ud800"}'), 1007, "not JSON"),
    "deep": (frame("[" * 100_000), 1007, "not JSON"),
    "a list": (frame("[]"), 1007, "no message of type"),
    "no type": (frame("{}"), 1007, "no message of type"),
    "type of a wrong type": (frame('{"type":["Watch"]}'), 1007, "no message of type"),
    "unknown type": (frame('{"type":"Steal"}'), 1007, "'Steal'"),
    "a server's message": (frame('{"type":"Bye","reason":"x"}'), 1007, "'Bye'"),
    "missing field": (frame('{"type":"Watch"}'), 1007, "project"),
    "wrong type of field": (frame('{"type":"Watch","project":7}'), 1007, "project"),
    "number as text": (frame('{"type":"Leave","worker":"7"}'), 1007, "worker"),
    "true as a number": (frame('{"type":"Leave","worker":true}'), 1007, "worker"),
    "wrong role": (frame('{"type":"Join","project":"p","worker":1,"role":"boss"}'), 1007, "role"),
    "NaN": (frame('{"type":"Join","project":"p","worker":1,"intensity":NaN}'), 1007, "not JSON"),
    "infinite": (frame('{"type":"Join","project":"p","worker":1,"intensity":1e999}'), 1007, "not finite"),
    "huge": (frame('{"type":"Leave","worker":' + "9" * 400 + "}"), 1007, "beyond 2⁵³"),
    "huge within": (
        frame('{"type":"Control","project":"p","action":"set","settings":{"a":[1e999]}}'),
        1007,
        "not finite",
    ),
    "vector where none belongs": (
        frame('{"type":"Leave","worker":1}', bytes(8)),
        1007,
        "does not travel with a vector",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str) -> None:
    data, code, sentence = WRONG[name]
    with pytest.raises(wire.Malformed) as caught:
        wire.decode_client(data)
    assert caught.value.close_code == code
    assert sentence in caught.value.sentence
    assert len(caught.value.sentence) <= 300


@given(st.binary(max_size=200), st.sampled_from(GOLDEN["frames"]), st.integers(0, 200))
def test_garbage_is_malformed_and_nothing_else(garbage: bytes, row: dict[str, Any], place: int) -> None:
    data = bytes.fromhex(row["python"])
    for hostile in (garbage, data[:place] + garbage + data[place + len(garbage) :]):
        error = complaint(hostile)
        assert error is None or (error.sentence and error.close_code in (1003, 1007, 1009))


NUMBER = r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,4})?"


@given(st.from_regex(NUMBER, fullmatch=True), st.sampled_from(["worker", "intensity"]), st.sampled_from(["", " "]))
def test_the_quick_way_reads_numbers_as_the_careful_one_does(number: str, field: str, space: str) -> None:
    fields = {"project": '"p"', "worker": "1", field: number}
    head = f'{{"type":{space}"Join",' + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}"
    outcomes = []
    for read in (wire._read, wire._read_with_care):
        try:
            outcomes.append(repr(read(head.encode(), wire.FROM_CLIENT)))
        except wire.Malformed as error:
            outcomes.append(error.sentence)
    assert outcomes[0] == outcomes[1]


def complaint(data: bytes) -> wire.Malformed | None:
    try:
        wire.decode_client(data)
    except wire.Malformed as error:
        return error
    return None


def test_our_own_mistakes_are_assertions() -> None:
    with pytest.raises(AssertionError, match="Watch has no vector"):
        wire.encode(m.Watch("p"), np.zeros(1, np.float32))
    with pytest.raises(AssertionError, match="float64"):
        wire.encode(m.Parameters("p", 0, 1), np.zeros(1))  # type: ignore[arg-type]


def test_names_are_ascii() -> None:
    names = {field for kind in KINDS for field in kind.__dataclass_fields__}
    assert all(set(name) <= set(string.ascii_lowercase + "_") for name in names)
