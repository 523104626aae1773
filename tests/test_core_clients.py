"""Clients: who says Hello, who comes back as whom, who may control."""

import pytest

from mlitb.core import messages as m
from mlitb.core.events import Close
from tests.core_world import World, names


def test_hello_comes_first_and_once(world: World) -> None:
    browser = world.connect(hello=False)
    effects = world.say(browser, m.Watch("p"))
    assert names(effects) == ["Refused", "Close"]
    other = world.connect()
    world.say(other, m.Hello(m.PROTOCOL, "e" * 64))
    assert other.refused[-1].status == 409


@pytest.mark.parametrize(("protocol", "engine"), [(m.PROTOCOL + 1, "e" * 64), (m.PROTOCOL, "f" * 64)])
def test_another_version_is_told_to_reload(world: World, protocol: int, engine: str) -> None:
    browser = world.connect(hello=False)
    effects = world.say(browser, m.Hello(protocol, engine))
    assert names(effects) == ["Reload", "Close"]
    assert isinstance(effects[-1], Close)
    assert effects[-1].retry_ms < 0


def test_a_resume_token_brings_identity_and_cache_back(world: World) -> None:
    a = world.worker()
    assert a.welcome is not None
    held = {shard.hash for shard in a.assigns[1].shards}
    world.drop(a)
    stranger = world.worker()
    again = world.connect(resume=a.welcome.resume)
    assert again.welcome is not None
    assert (again.welcome.client, again.welcome.resume) == (a.welcome.client, a.welcome.resume)
    world.join(again, ready=False)
    assert {shard.hash for shard in again.assigns[1].shards} <= held
    assert stranger.welcome is not None
    assert stranger.welcome.client != a.welcome.client


def test_a_second_connection_of_the_same_browser_replaces_the_first(world: World) -> None:
    a = world.worker()
    assert a.welcome is not None
    again = world.connect(resume=a.welcome.resume)
    assert a.closed
    assert again.welcome is not None
    assert again.welcome.client == a.welcome.client
    assert world.project().crew.browsers == {}


def test_a_guessed_token_gives_nothing(world: World) -> None:
    a = world.worker()
    other = world.connect(resume="token-0")
    assert other.welcome is not None
    assert a.welcome is not None
    assert other.welcome.client != a.welcome.client
    assert other.welcome.resume == other.token


@pytest.mark.parametrize("action", ["start", "pause", "reboot", "set", "remove"])
def test_only_the_owner_controls(world: World, action: m.Action) -> None:
    visitor, owner = world.connect(), world.connect(owner=True)
    state = world.project().state
    world.say(visitor, m.Control("p", action))
    assert visitor.refused[-1].status == 403
    assert world.project().state == state
    world.say(owner, m.Control("p", action))
    assert owner.refused == []
