"""The simulation notices broken rules; see ``mutants.py``."""

from __future__ import annotations

import pytest

from sim.mutants_of_features import FIRST, MUTANTS, OF_FEATURE
from sim.test_simulation import simulate

RARE = {"an-actor-in-a-process-that-owns", "a-restarted-actor-is-not-ended"}
"""It takes hundreds of seeds to meet these."""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", sorted(MUTANTS.keys() - RARE))
def test_a_broken_rule_is_noticed(name: str) -> None:
    having = ("--having", OF_FEATURE[name]) if name in OF_FEATURE else ()
    first = FIRST.get(name, 0)
    seeds = f"{first}:{first + 600}"
    code, said = simulate("--mutant", name, "--seeds", seeds, *having, timeout=280)
    assert code == 1, said
    assert "failed: " in said
    assert "again, with its story: python tests/sim --seed" in said
