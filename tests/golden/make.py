"""Write the golden files that hold Python and JavaScript together: `python -m tests.golden.make`.

Rules of this file:
- Run it only when the wire or the work orders are meant to change, and read the difference before committing it.
- Each frame is written by both languages; each must read both, and write its own again byte by byte.
"""

import json
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mlitb import wire
from mlitb.core import messages as m
from mlitb.core.work import Piece, Stream, keyed, permutation

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
HASHES = ["00ff" * 16, "fffffffe" + "ab" * 28, "12345678" * 8]

SHARD = m.Shard(HASHES[0], "c1", 128, 20480, (0, 2, 1), 1, 3)
ORDER = m.Order(3, 2, (0, 2), 4_294_967_295, 5_000_000_000, 16, 3612.5, 128, 0.05, 0.9)
ROW = m.WorkerRow(
    1, 3, "Chrome on Ändroid, 8 cores", "trainer", "saturated", "this link needs T ≥ 6 s", 256, 128, 100,
    1234.5, 41.25, 950.0, 0.5,
)  # fmt: skip

SAMPLES: list[tuple[m.FromClient | m.ToClient, list[float] | None]] = [
    (m.Hello(1, "e" * 64, "token", "Firefox — 4 cores"), None),
    (m.Watch("digits"), None),
    (m.Join("digits", 3, "trainer", 3000, 100_000_000, 0.5), None),
    (m.Tune(3, 1500, 50_000_000, 1.0, True), None),
    (m.Leave(3), None),
    (m.Holds((HASHES[0], HASHES[1])), None),
    (m.Ready(3, 2, (HASHES[0],)), None),
    (m.Answer("digits", 7, (m.Result(3, 16, 36.5, 14, 120.25), m.Result(4, 0, 0.0, 0, 0.0))), [1.0, -0.5, 3e-38, 1e30]),
    (m.Answer("digits", 8, ()), None),
    (m.Report(3, 2, 7, 1, 360, 19, 57.25, ((180, 170, 165), (180, 190, 176))), None),
    (m.Failed(3, 'out of memory: "wasm"\n'), None),
    (m.Control("digits", "set", {"period": 2.5, "optimizer": "adam"}), None),
    (m.Welcome(1, "token", True), None),
    (m.Reload("the engine differs"), None),
    (m.Refused(409, "iteration 6 is closed: this is 7", "Answer", -1), None),
    (
        m.Network(
            "digits", 2, ({"type": "input", "width": 8, "height": 8, "channels": 1, "mean": [0.25]},), ("0", "ü"), 7
        ),
        None,
    ),
    (m.Assign("digits", 3, 2, (SHARD,)), None),
    (m.Orders("digits", 7, (ORDER,), 360.0), None),
    (m.Parameters("digits", 7, 2), [0.0, 0.1, -2.0]),
    (
        m.Status(
            "digits", "running", "", 7, 4.0, 0.125, 1.5, 1000, 250.0, 2, 3, 0.97, 1437, 10, 812.5, 360, 6, 0.0625, 0.25
        ),
        None,
    ),
    (m.Roster("digits", (ROW,), 5), None),
    (m.Removed("digits"), None),
    (m.Bye("the server stops", 2000), None),
]


def frames() -> dict[str, Any]:
    """Make the frames in both languages."""
    rows = [
        {
            "type": type(message).__name__, "vector": vector,
            "message": {"type": type(message).__name__, **asdict(message)},
            "python": wire.encode(message, None if vector is None else np.array(vector, np.float32)).hex(),
        }
        for message, vector in SAMPLES
    ]  # fmt: skip
    script = f"""
        import {{encode}} from {json.dumps((ROOT / "static/js/protocol.js").as_uri())};
        const rows = {json.dumps(rows)};
        console.log(JSON.stringify(rows.map(({{message, vector}}) =>
          Buffer.from(encode(message, vector && Float32Array.from(vector))).toString("hex"))));"""
    done = subprocess.run(["node", "--input-type=module", "-e", script], capture_output=True, text=True, check=True)
    for row, written in zip(rows, json.loads(done.stdout), strict=True):
        row["javascript"] = written
    return {"protocol": m.PROTOCOL, "frames": rows}


def work() -> dict[str, Any]:
    """Make permutations and orders."""
    permutations = [
        {"seed": seed, "turn": turn, "size": size, "values": permutation(seed, turn, size).tolist()}
        for seed, turn, size in [
            (0, 0, 1),
            (1, 0, 2),
            (2, 3, 7),
            (4_294_967_295, 2, 16),
            (5, 4_294_967_296, 100),
            (7, 1, 257),
        ]
    ]
    lists = [
        [(HASHES[0], 20, 0, 1)], [(HASHES[1], 17, 2, 3), (HASHES[0], 5, 0, 1)],
        [(HASHES[2], 3, 4, 5), (HASHES[1], 40, 39, 40), (HASHES[0], 128, 1, 7)],
    ]  # fmt: skip
    orders: list[dict[str, Any]] = []
    streams: list[Stream] = []
    for seed, (pieces, cursor, count) in enumerate(
        [(lists[0], 0, 20), (lists[0], 33, 20), (lists[1], 4, 9), (lists[2], 12_000_000_007, 19)]
    ):
        stream = Stream([Piece(*piece) for piece in pieces], seed)
        streams.append(stream)
        vectors = [[v.piece, v.index, v.key] for v in stream.take(cursor, count)]
        shards = [dict(zip(("hash", "count", "offset", "step"), piece, strict=True)) for piece in pieces]
        orders.append(
            {"seed": seed, "shards": shards, "cursor": cursor, "count": count, "size": stream.size, "vectors": vectors}
        )
    walks = [
        {
            "orders": i,
            "cursor": 30,
            "count": 50,
            "vectors": [[v.piece, v.index, v.key] for v in streams[i].walk(30, 50)],
        }
        for i in range(len(orders))
    ]
    keys = [
        {"parts": parts, "value": keyed(*parts)} for parts in ([0], [1, 2, 3], [4_294_967_296, 7], [4_294_967_295] * 3)
    ]
    return {"keyed": keys, "permutations": permutations, "orders": orders, "walks": walks}


if __name__ == "__main__":
    (HERE / "frames.json").write_text(json.dumps(frames(), indent=1, ensure_ascii=False) + "\n")
    (HERE / "work.json").write_text(json.dumps(work()) + "\n")
