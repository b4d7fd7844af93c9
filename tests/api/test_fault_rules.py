"""The rules of the fault switch as a user writes them."""

from __future__ import annotations

import re

import pytest

import paralab
from paralab import messages
from paralab.faults.rules import Rule, message_kinds, parse


def test_rules_are_separated_by_semicolons_or_lines() -> None:
    text = "lose RESULT; double CALL from=driver to=worker nth=3\n\n kill ANY chance=0.5 seed=7 ;"
    assert parse(text, "x") == (
        Rule("lose", messages.RESULT),
        Rule("double", messages.CALL, "driver", "worker", 3),
        Rule("kill", None, chance=0.5, seed=7),
    )
    assert parse("", "x") == ()


def test_delay_says_how_long_and_kill_says_where() -> None:
    assert parse("delay LEASED seconds=0.5", "x")[0].seconds == 0.5
    assert parse("kill CALL at=receive", "x")[0].at == "receive"
    assert parse("cut SEAL nth=every", "x")[0].nth == 0


def test_a_rule_speaks_of_messages_roles_and_a_direction() -> None:
    rule = Rule("lose", messages.CALL, sender="driver")
    assert rule.fits(messages.CALL, "driver", "worker", "send")
    assert not rule.fits(messages.CALL, "worker", "worker", "send")
    assert not rule.fits(messages.RESULT, "driver", "worker", "send")
    assert not rule.fits(messages.CALL, "driver", "worker", "receive")
    assert Rule("lose", None).fits(messages.SEAL, "worker", "node", "send")


def test_every_message_has_a_name_and_no_two_a_number() -> None:
    kinds = message_kinds()
    assert kinds["CALL"] == messages.CALL
    assert "INLINE" not in kinds
    assert len(set(kinds.values())) == len(kinds)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("loose RESULT", "begins with 'loose'; expected one of lose, double, delay, cut, kill"),
        ("lose RESULTS", "names 'RESULTS'; expected ANY or one of ACTOR_AT, "),
        ("lose", "names nothing; expected ANY or one of"),
        ("lose RESULT twice", "has 'twice'; expected one of from, to, nth, chance, seed, at"),
        ("lose RESULT seconds=1", "has 'seconds=1'; expected one of from"),
        ("lose RESULT by=me", "has 'by=me'; expected one of from"),
        ("lose RESULT nth=0", "has 'nth=0'; expected nth=a whole number > 0 or every"),
        ("lose RESULT chance=1.5", "has 'chance=1.5'; expected chance=a number > 0 and <= 1"),
        ("lose RESULT chance=nan", "has 'chance=nan'; expected chance="),
        ("delay RESULT seconds=inf", "has 'seconds=inf'; expected seconds=a number > 0"),
        ("lose RESULT from=zygote", "has 'from=zygote'; expected from=one of driver, worker, node"),
        ("lose RESULT at=receive", "which is for kill"),
        ("kill WELCOME at=receive", "WELCOME is what brings the rules"),
        ("lose CALL; lose RESULT seed=x", "the rule 'lose RESULT seed=x' has 'seed=x'"),
    ],
)
def test_what_is_wrong_is_named(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        paralab.init(_system_config={"faults": text})
    assert not paralab.is_initialized()


def test_what_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TypeError, match="expected a str of rules"):
        paralab.init(_system_config={"faults": ["lose RESULT"]})
    with pytest.raises(TypeError, match="expected a dict"):
        paralab.init(_system_config="lose RESULT")
    monkeypatch.setenv("PARALAB_FAULTS", "lose everything")
    with pytest.raises(ValueError, match="PARALAB_FAULTS: the rule 'lose everything' names"):
        paralab.init()


def test_other_keys_are_for_parts_that_only_ray_has(shutdown_after: None) -> None:
    paralab.init(local_mode=True, _system_config={"object_spilling_threshold": 0.9})
    paralab.shutdown()
    paralab.init(local_mode=True, _system_config={"faults": "lose RESULT"})
    assert paralab.get(paralab.put(1)) == 1, "local mode has no messages"
