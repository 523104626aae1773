"""The collector of garbage looks seldom, and still frees cycles (in a process of its own: it is told once)."""

import subprocess
import sys

PROGRAM = """
import gc
from mlitb import collector

collector.spare()
before = gc.get_stats()[0]["collections"]
kept = [[] for _ in range(collector.SURPLUS // 2)]
print(gc.get_stats()[0]["collections"] - before)


class Node:
    freed = 0

    def __del__(self):
        Node.freed += 1


for _ in range(collector.SURPLUS):
    node = Node()
    node.itself = node
print(Node.freed > 0)
"""


def test_half_a_crowd_of_objects_wakes_nobody_and_cycles_are_freed_in_the_end() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "True"]
