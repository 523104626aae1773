"""A frame's header is the one that websockets makes; the rest of a connection is tested over real sockets."""

import pytest
from websockets.frames import Frame, Opcode

from mlitb.connection import header


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535, 65536, 127_144])
def test_a_header_and_its_bytes_are_the_frame_that_websockets_makes(length: int) -> None:
    data = bytes(length)
    assert header(length) + data == Frame(Opcode.BINARY, data).serialize(mask=False, extensions=[])
