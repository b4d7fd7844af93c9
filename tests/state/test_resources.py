"""Resources: exact sums, debts, and what is shown of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from paralab.state.resources import Resources
from paralab.task_spec import RESOURCE_UNIT as ONE
from paralab.task_spec import fixed_resources

amounts = st.dictionaries(st.sampled_from(["CPU", "GPU", "disk"]), st.integers(0, 3 * ONE))


def test_ten_tenths_are_one() -> None:
    resources = Resources({"CPU": ONE})
    tenth = fixed_resources({"CPU": 0.1})
    for _ in range(10):
        assert resources.fits(tenth)
        resources.take(tenth)
    assert not resources.fits(fixed_resources({"CPU": 0.0001}))
    assert resources.available == {"CPU": 0}


def test_feasible_asks_for_what_there_is_in_all() -> None:
    resources = Resources({"CPU": ONE})
    resources.take({"CPU": ONE})
    assert resources.feasible({"CPU": ONE})
    assert not resources.feasible({"CPU": ONE + 1})
    assert not resources.feasible({"unheard of": 1})
    assert resources.feasible({})
    assert resources.fits({})


def test_debts_and_zeros_are_not_shown() -> None:
    resources = Resources({"CPU": ONE, "GPU": ONE, "disk": ONE // 2})
    resources.take({"CPU": 2 * ONE, "GPU": ONE})
    assert resources.shown() == {"disk": 0.5}
    assert resources.shown(resources.total) == {"CPU": 1.0, "GPU": 1.0, "disk": 0.5}
    assert not resources.fits({"CPU": 1})


@given(total=amounts, uses=st.lists(amounts))
def test_what_is_given_back_is_all_there_again(
    total: dict[str, int], uses: list[dict[str, int]]
) -> None:
    resources = Resources(total)
    for use in uses:
        resources.take(use)
    for use in reversed(uses):
        resources.give(use)
    assert {name: n for name, n in resources.available.items() if n} == {
        name: n for name, n in total.items() if n
    }
