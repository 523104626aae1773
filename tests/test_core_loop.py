"""The event loop: when an iteration closes, who is awaited, what is refused."""

import pytest

from mlitb.core.events import Send
from tests.core_world import World


@pytest.fixture
def world() -> World:
    """Give a running project with data: T = 1 s, grace 0.1 s."""
    world = World()
    world.create(period=1.0)
    world.attach()
    return world


def kinds(effects: list[object]) -> list[str]:
    return [type(e.message).__name__ if isinstance(e, Send) else type(e).__name__ for e in effects]


def test_an_iteration_closes_at_t_when_everyone_has_answered(world: World) -> None:
    a, b = world.worker(), world.worker()
    world.close()
    opened = world.now
    world.now += 0.4
    world.answer(a)
    world.now += 0.2
    world.answer(b)
    assert world.master.deadline() == opened + 1.0
    world.tick()
    assert world.now == opened + 1.0
    assert world.vectors["p"].under_way is not None
