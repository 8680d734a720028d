"""The power limit's choice, on curves of the kind that cards show: the last watts buy little speed."""

import pytest

from control.resources.power import Tried, best_limit, cost


def card(limit):
    """A card whose speed grows with the cube root of its power, to a top of 700 W."""
    return Tried(limit, 1000 * (limit / 700) ** (1 / 3), 0.97 * limit, 60)


def learned(eta, low=300, high=700, card=card):
    """Measure what is asked for until it settles."""
    tried = []
    for _ in range(20):
        found = best_limit(tried, low, high, eta)
        if found.settled:
            return found, tried
        tried.append(card(found.watts))
    raise AssertionError("it never settled")


@pytest.mark.parametrize(("eta", "watts"), [(0.0, 700), (1.0, 300)])
def test_time_alone_takes_the_greatest_limit_and_energy_alone_the_least(eta, watts):
    assert learned(eta)[0].watts == watts


def test_between_them_the_least_cost_of_all_measured_is_taken_and_said_with_figures():
    found, tried = learned(0.5)
    assert found.watts == min(tried, key=lambda one: cost(one, 0.5, 700)).limit_watts
    assert 300 < found.watts < 700
    assert "less energy a sample than at 700 W" in found.why


def test_profiling_starts_at_the_top_and_stops_where_it_only_gets_dearer():
    found, tried = learned(0.0, card=lambda limit: Tried(limit, limit, limit, 60))
    assert [one.limit_watts for one in tried] == [700, 600]
    assert found.watts == 700


def test_a_stretch_too_short_to_believe_is_measured_again():
    assert best_limit([Tried(700, 1000, 690, seconds=3)], 300, 700, 0.5).watts == 700


def test_what_the_card_no_longer_allows_is_not_chosen():
    tried = [card(limit) for limit in (700, 600, 500, 400, 300)]
    assert best_limit(tried, 400, 700, 1.0).watts == 400


def test_a_card_with_one_limit_settles_on_it():
    assert learned(0.5, 250, 250)[0].watts == 250


@pytest.mark.parametrize(
    ("low", "high", "eta", "tried"),
    [(0, 700, 0.5, []), (700, 300, 0.5, []), (300, 700, 1.5, []), (300, 700, 0.5, [Tried(700, 0, 600)])],
)
def test_what_cannot_be_is_refused_in_words(low, high, eta, tried):
    with pytest.raises(ValueError, match="expected"):
        best_limit(tried, low, high, eta)
