"""Optimizers against PyTorch in float64 and closed forms, over 100 steps; the walk in slices; decay and warm-up."""

import dataclasses
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlitb.core import optimizer, reduction
from mlitb.core.optimizer import Hyper, Rule, Update
from mlitb.core.refusal import Refusal

torch = pytest.importorskip("torch", reason="PyTorch is the outside oracle of the optimizers")

SIZE, STEPS, VECTORS = 200, 100, 7

CASES: dict[str, tuple[Hyper, Callable[[Any], Any]]] = {
    "adagrad": (Hyper("adagrad", 0.05, epsilon=1e-10), lambda p: torch.optim.Adagrad([p], lr=0.05, eps=1e-10)),
    "adagrad, l2": (
        Hyper("adagrad", 0.05, epsilon=1e-8, l2=0.1),
        lambda p: torch.optim.Adagrad([p], lr=0.05, eps=1e-8, weight_decay=0.1),
    ),
    "sgd": (Hyper("sgd", 0.05), lambda p: torch.optim.SGD([p], lr=0.05)),
    "momentum": (Hyper("sgd", 0.01, momentum=0.9), lambda p: torch.optim.SGD([p], lr=0.01, momentum=0.9)),
    "nesterov": (
        Hyper("nesterov", 0.01, momentum=0.9),
        lambda p: torch.optim.SGD([p], lr=0.01, momentum=0.9, nesterov=True),
    ),
    "momentum, l2": (
        Hyper("sgd", 0.01, momentum=0.9, l2=0.2),
        lambda p: torch.optim.SGD([p], lr=0.01, momentum=0.9, weight_decay=0.2),
    ),
    "rmsprop": (Hyper("rmsprop", 0.01, rho=0.95), lambda p: torch.optim.RMSprop([p], lr=0.01, alpha=0.95)),
    "rmsprop, momentum": (
        Hyper("rmsprop", 0.003, momentum=0.8),
        lambda p: torch.optim.RMSprop([p], lr=0.003, alpha=0.99, momentum=0.8),
    ),
    "adam": (Hyper("adam", 0.01), lambda p: torch.optim.Adam([p], lr=0.01)),
    "adam, l2": (
        Hyper("adam", 0.01, beta1=0.8, beta2=0.99, l2=0.1),
        lambda p: torch.optim.Adam([p], lr=0.01, betas=(0.8, 0.99), weight_decay=0.1),
    ),
}


def start(seed: int = 1) -> tuple[Any, Any]:
    """Make parameters, and a function that makes the gradient sum of a step: a noisy bowl's."""
    random = np.random.default_rng(seed)
    target = random.normal(size=SIZE)
    noise = random.normal(size=(STEPS, SIZE)) * 0.3
    return random.normal(size=SIZE).astype(np.float32) * np.float32(0.3), lambda p, i: VECTORS * (p - target + noise[i])


def walk(hyper: Hyper, steps: int = STEPS, size: int = optimizer.SLICE) -> tuple[Any, optimizer.State]:
    parameters, gradient = start()
    state = optimizer.init(hyper, SIZE)
    for i in range(steps):
        update = Update(
            hyper, parameters, gradient(parameters.astype(np.float64), i), state, VECTORS, hyper.learning_rate
        )
        assert len(list(update.walk(size))) >= 1
        assert update.finite
        parameters, state = update.parameters, update.state
    return parameters, state


@pytest.mark.parametrize("name", CASES)
def test_a_hundred_steps_agree_with_pytorch(name: str) -> None:
    hyper, make = CASES[name]
    mine, _ = walk(hyper)
    first, gradient = start()
    theirs = torch.nn.Parameter(torch.from_numpy(first.astype(np.float64)))
    rule = make(theirs)
    for i in range(STEPS):
        theirs.grad = torch.from_numpy(gradient(theirs.detach().numpy(), i) / VECTORS)
        rule.step()
    assert np.abs(mine - theirs.detach().numpy()).max() <= 1e-6


@pytest.mark.parametrize("rule", ["adagrad", "sgd", "nesterov", "rmsprop", "adam"])
def test_slices_change_nothing(rule: Any) -> None:
    hyper = Hyper(
        rule, 0.01, momentum=0.5, l1=0.01, l2=0.02, clip=0.9, multipliers=((20, 95, 0.5, 0.0), (95, 110, 0.0, 2.0))
    )
    whole, state = walk(hyper)
    sliced, sliced_state = walk(hyper, size=33)
    assert np.abs(whole - sliced).max() <= 1e-7  # the norm is summed in another order
    assert state.keys() == sliced_state.keys()
    unclipped = dataclasses.replace(hyper, clip=0.0)
    assert walk(unclipped)[0].tobytes() == walk(unclipped, size=33)[0].tobytes()


def step_once(hyper: Hyper, parameters: list[float], gradient: list[float], steps: int = 0) -> list[float]:
    state = optimizer.init(hyper, len(parameters))
    state["step"][0] = steps
    update = Update(hyper, np.array(parameters, np.float32), np.array(gradient), state, 1, hyper.learning_rate)
    list(update.walk())
    return [float(value) for value in update.parameters]


CLIP = 2.0
SCHEDULED: dict[str, tuple[Hyper, Callable[[Any], Any]]] = {
    "sgd": (Hyper("sgd", 0.05, momentum=0.9), lambda p: torch.optim.SGD([p], lr=0.05, momentum=0.9)),
    "adagrad": (Hyper("adagrad", 0.05), lambda p: torch.optim.Adagrad([p], lr=0.05, eps=1e-8)),
    "adam": (Hyper("adam", 0.01), lambda p: torch.optim.Adam([p], lr=0.01)),
    "rmsprop": (Hyper("rmsprop", 0.01), lambda p: torch.optim.RMSprop([p], lr=0.01, alpha=0.99)),
}


@pytest.mark.parametrize("name", SCHEDULED)
def test_a_hundred_steps_with_l1_clipping_warm_up_and_decay_agree_with_pytorch(name: str) -> None:
    hyper, make = SCHEDULED[name]
    hyper = dataclasses.replace(hyper, l1=0.05, clip=CLIP, warmup=10, decay=0.5, decay_interval=25, decay_floor=0.004)
    parameters, gradient = start()
    theirs = torch.nn.Parameter(torch.from_numpy(parameters.astype(np.float64)))
    rule, state, rate = make(theirs), optimizer.init(hyper, SIZE), hyper.learning_rate

    def factor(done: int) -> float:
        """Give the rate of the next step by its own formula, as a share of the first."""
        decayed = max(0.5 ** (done // 25), min(0.004 / hyper.learning_rate, 1.0))
        return decayed * min(1.0, (done + 1) / 10)

    schedule = torch.optim.lr_scheduler.LambdaLR(rule, factor)
    clipped = 0
    for i in range(STEPS):
        update = Update(hyper, parameters, gradient(parameters.astype(np.float64), i), state, VECTORS, rate)
        list(update.walk())
        parameters, state = update.parameters, update.state
        rate = optimizer.next_learning_rate(hyper, rate, i + 1)
        theirs.grad = torch.from_numpy(gradient(theirs.detach().numpy(), i) / VECTORS)
        clipped += float(torch.nn.utils.clip_grad_norm_([theirs], CLIP)) > CLIP
        theirs.grad += hyper.l1 * torch.sign(theirs.detach())
        rule.step()
        schedule.step()
    assert clipped > 10, "nothing was clipped"
    assert rate == pytest.approx(max(hyper.learning_rate / 16, 0.004))
    assert np.abs(parameters - theirs.detach().numpy()).max() <= 1e-6


def test_l1_pulls_towards_nothing() -> None:
    assert step_once(Hyper("sgd", 0.5, l1=0.25), [1.0, -1.0, 0.0], [0, 0, 0]) == [0.875, -0.875, 0.0]


def test_l2_pulls_in_proportion() -> None:
    assert step_once(Hyper("sgd", 0.5, l2=0.25), [4.0, -2.0], [0, 0]) == [3.5, -1.75]


def test_clipping_brings_the_norm_down_and_leaves_small_ones_alone() -> None:
    assert step_once(Hyper("sgd", 1.0, clip=1.0), [0, 0], [3.0, 4.0]) == pytest.approx([-0.6, -0.8])
    assert step_once(Hyper("sgd", 1.0, clip=10.0), [0, 0], [3.0, 4.0]) == [-3.0, -4.0]


def test_multipliers_scale_rate_and_decay() -> None:
    hyper = Hyper("sgd", 1.0, l2=0.5, multipliers=((0, 1, 0.0, 1.0), (1, 2, 0.5, 0.0), (2, 3, 1.0, 2.0)))
    assert step_once(hyper, [1, 1, 1, 1], [1, 1, 1, 1]) == [1.0, 0.5, -1.0, -0.5]


def test_warm_up_rises_from_nothing_and_then_stays() -> None:
    moved = [-step_once(Hyper("sgd", 1.0, warmup=4), [0.0], [1.0], steps)[0] for steps in range(6)]
    assert moved == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_decay_comes_at_its_interval_and_stops_at_its_floor() -> None:
    hyper = Hyper(learning_rate=1.0, decay=0.5, decay_interval=2, decay_floor=0.2)
    rates, rate = [], 1.0
    for steps in range(1, 9):
        rates.append(rate)
        rate = optimizer.next_learning_rate(hyper, rate, steps)
    assert rates == [1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.2, 0.2]
    assert optimizer.next_learning_rate(hyper, 0.1, 2) == 0.1  # a rate below the floor is not raised


def test_a_step_that_leaves_float32_is_reported_and_the_old_stays() -> None:
    parameters = np.array([3e38, 1.0], np.float32)
    update = Update(Hyper("sgd", 1.0), parameters, np.array([-3e38, 0.0]), optimizer.init(Hyper("sgd"), 2), 1, 1.0)
    list(update.walk())
    assert not update.finite
    assert parameters.tolist() == [np.float32(3e38), 1.0]


def test_a_change_of_rule_keeps_what_both_know() -> None:
    state = optimizer.init(Hyper("adagrad"), 3)
    state["squares"][:] = 5
    state["step"][0] = 9
    adam = optimizer.adapted(state, Hyper("adam"), 3)
    assert adam.keys() == {"step", "mean", "squares"}
    assert adam["squares"].tolist() == [5, 5, 5]
    assert adam["step"][0] == 9
    assert optimizer.adapted({}, Hyper("sgd"), 3)["velocity"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("rule", get_args(Rule))
def test_what_is_frozen_keeps_every_bit(rule: Any) -> None:
    hyper = Hyper(rule, 0.5, momentum=0.5 if rule != "adam" else 0.0, l1=0.1, l2=0.1, multipliers=((1, 3, 0.0, 1.0),))
    parameters = np.array([-0.0, -0.0, 3.5, -0.0], np.float32)
    gradient = np.array([-1, -1, 1e30, -1], np.float32)
    state = {name: values for name, values in optimizer.init(hyper, 4).items() if name != "step"}
    new, _ = optimizer.update(hyper, parameters, gradient, state, 1.0, 0.5, 1)
    assert new[1:3].tobytes() == parameters[1:3].tobytes(), "also the sign of a zero"
    assert new[0] != 0
    assert new[3] != 0


def test_a_hyper_survives_as_a_plain_dict() -> None:
    hyper = Hyper("adam", 0.5, multipliers=((0, 3, 0.5, 1.0),))
    assert Hyper.parse(hyper.plain()) == hyper


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"optimizer": "sgdm"}, "optimizer must be one of adagrad"),
        ({"learning_rate": -1}, "learning_rate must be a number from 0 to 1000, not -1"),
        ({"learning_rate": float("nan")}, "learning_rate must be"),
        ({"momentum": "0.9"}, "momentum must be"),
        ({"warmup": 1.5}, "warmup must be a whole number"),
        ({"decay_interval": True}, "decay_interval must be a whole number"),
        ({"lr": 1}, "there is no setting 'lr'"),
    ],
)
def test_a_wrong_hyper_parameter_is_named(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Refusal, match=sentence):
        Hyper.parse(values)


# ------------------------------------------------------------------------------------------------------ the reduce
@given(st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=6), st.integers(1, 50))
def test_any_order_of_acceptance_agrees_within_one_ulp_and_the_same_order_in_all_bits(
    seeds: list[int], slice_size: int
) -> None:
    gradients = [np.random.default_rng(seed).normal(size=64).astype(np.float32) for seed in seeds]

    def reduced(order: list[Any], size: int) -> Any:
        total = reduction.zeros(64)
        for gradient in order:
            list(reduction.add(total, gradient, size))
        return total

    first = reduced(gradients, slice_size)
    assert first.tobytes() == reduced(gradients, 64).tobytes()
    other = reduced(gradients[::-1], 64).astype(np.float32)
    assert np.all(np.abs(first.astype(np.float32) - other) <= np.spacing(np.abs(other)))
    assert reduction.combine(gradients).tobytes() == first.astype(np.float32).tobytes()


def test_growth_keeps_old_bits_and_takes_fresh_values_elsewhere() -> None:
    places = np.array([0, 1, 4], np.int64)
    grown = reduction.grown(np.array([1, 2, 3], np.float32), places, np.array([9, 9, 7, 8, 9], np.float32))
    assert grown.tolist() == [1, 2, 7, 8, 3]
