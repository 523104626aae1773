"""What tests of several files start from."""

import pytest

from tests.core_world import World


@pytest.fixture
def world() -> World:
    """Give a running project with data: T = 1 s, grace 0.1 s."""
    world = World()
    world.create(period=1.0)
    world.attach()
    return world
