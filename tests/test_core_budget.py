"""Overhead estimates and budgets, in figures."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlitb.core.budget import Link, floor_ms, longest_overhead_ms, smoothed_power

times = st.floats(0, 1e7)


def steady(overhead: float, count: int = 30) -> Link:
    link = Link()
    for _ in range(count):
        link.sample(1000 + overhead, 1000)
    return link


def test_a_steady_link_gives_almost_the_whole_period() -> None:
    link = steady(50)
    assert link.overhead_ms == pytest.approx(50)
    assert link.budget_ms(4000, floor_ms(4000)) == pytest.approx(3946, abs=2)


def test_an_unsteady_link_keeps_a_margin_of_its_own_spread() -> None:
    link = Link()
    for i in range(40):
        link.sample(1000 + (50 if i % 2 else 150), 1000)
    assert 100 <= link.margin_ms() <= 200
    assert link.reserve_ms(4000) >= 150


def test_a_jump_is_believed_sooner_than_a_fall() -> None:
    link = steady(50)
    link.sample(1000 + 850, 1000)
    assert link.overhead_ms == pytest.approx(450)
    assert link.reserve_ms(4000) > 850
    risen = steady(850)
    risen.sample(1050, 1000)
    assert risen.overhead_ms == pytest.approx(750)


def test_a_link_that_recovers_gets_more_each_time() -> None:
    link = steady(850, 10)
    reserves = [link.reserve_ms(4000)]
    for _ in range(10):
        link.sample(1030, 1000)
        reserves.append(link.reserve_ms(4000))
    assert reserves == sorted(reserves, reverse=True), reserves
    assert reserves[-1] < 300


def test_about_one_answer_in_fifty_is_beyond_the_margin_of_a_noisy_link() -> None:
    draw, link, late = random.Random(3), Link(), 0
    for i in range(5000):
        overhead = 30 + abs(draw.gauss(20, 10))
        late += i > 20 and overhead > link.reserve_ms(4000)
        link.sample(1000 + overhead, 1000)
    assert 0.005 < late / 5000 < 0.03


def test_misses_halve_and_answers_bring_back() -> None:
    link = steady(0)
    full = link.budget_ms(1000, floor_ms(1000))
    link.halvings = 2
    assert link.budget_ms(1000, floor_ms(1000)) == pytest.approx(full / 4)
    link.halvings = 500
    assert link.budget_ms(1000, floor_ms(1000)) == floor_ms(1000) == 50


def test_the_advice_names_a_period_that_would_do() -> None:
    assert steady(50).advice(4000) == ""
    assert steady(5000).advice(4000) == "this link needs T ≥ 6 s"
    assert steady(300).advice(200) == "this link needs T ≥ 0.4 s"
    assert steady(300).overhead_ms <= longest_overhead_ms(4400) < steady(5000).overhead_ms


@given(st.lists(st.tuples(times, times), max_size=20), st.floats(200, 60_000), st.integers(0, 50))
def test_a_budget_lies_between_floor_and_period_whatever_was_measured(
    samples: list[tuple[float, float]], period: float, halvings: int
) -> None:
    link = Link(halvings=halvings)
    for elapsed, computed in samples:
        link.sample(elapsed, computed)
    assert floor_ms(period) <= link.budget_ms(period, floor_ms(period)) <= period
    assert link.margin_ms() >= 0


def test_power_is_smoothed_and_an_empty_result_teaches_nothing() -> None:
    assert smoothed_power(0, 100, 50) == 2000
    assert smoothed_power(1000, 100, 50) == 1300
    assert smoothed_power(1000, 0, 50) == smoothed_power(1000, 5, 0) == 1000
