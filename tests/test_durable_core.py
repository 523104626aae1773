"""What the core does so that a master can be stopped, started again and taken back to a checkpoint."""

import pytest

from mlitb.core.events import Draining, Issued, Restore, Restored, Save
from mlitb.core.refusal import Refusal
from tests.core_world import World


def test_draining_ends_what_is_open_and_opens_nothing(world: World) -> None:
    browser = world.worker()
    world.close()
    number = world.project().iteration
    world.feed(Draining())
    assert not world.master.at_rest()
    world.answer(browser)
    world.tick()
    world.step()
    assert world.master.at_rest()
    assert world.project().iteration == number + 1
    assert world.project().running
    assert world.master.deadline() is None
    world.later(5.0)
    assert world.project().open is None
    assert "will be back" in world.master.status("p", world.now).why


def test_a_browser_from_before_the_restart_is_known_again(world: World) -> None:
    world.feed(Issued(777, "its token"))
    browser = world.connect(resume="its token")
    assert browser.welcome is not None
    assert (browser.welcome.client, browser.welcome.resume) == (777, "its token")


def test_a_token_of_somebody_present_is_not_taken_over_by_its_announcement(world: World) -> None:
    present = world.connect()
    assert present.welcome is not None
    world.feed(Issued(778, present.welcome.resume))
    again = world.connect(resume=present.welcome.resume)
    assert again.welcome is not None
    assert again.welcome.client == present.welcome.client


def test_restoring_breaks_the_iteration_off_and_never_uses_its_number_again(world: World) -> None:
    world.worker()
    world.close()
    number = world.project().iteration
    effects = world.feed(Restored("p", ("a", "b"), 5, 0.125))
    kinds = [type(effect) for effect in effects]
    assert kinds.index(Restore) < kinds.index(Save)
    project = world.project()
    assert project.iteration > number
    assert (project.seed, project.learning_rate, project.labels) == (5, 0.125, ("a", "b"))
    assert project.open is not None, "it goes on training"


def test_restoring_waits_for_a_step_that_is_under_way(world: World) -> None:
    browser = world.worker()
    world.close()
    world.answer(browser)
    effects = world.feed(Restored("p", ("a", "b"), 5, 0.125))
    assert Restore not in [type(effect) for effect in effects]
    assert world.vectors["p"].under_way is not None
    world.step()
    assert world.project().learning_rate == 0.125


def test_a_checkpoint_with_other_labels_is_refused(world: World) -> None:
    with pytest.raises(Refusal, match="other labels"):
        world.feed(Restored("p", ("x",), 5, 0.125))
