"""Live views write times as all other pictures do: the same text in both languages."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from importlib.resources import files

import pytest

from paralab_profiling.svg import duration, three_digits

NODE = shutil.which("node")
RUN = """
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify([given.map(time), given.map(threeDigits)]));
"""


def own_functions() -> str:
    """The part of live.js that writes figures."""
    text = files("paralab_profiling.live").joinpath("live.js").read_text("utf-8")
    return text[text.index("function threeDigits") : text.index("// What is known")]


@pytest.mark.slow
@pytest.mark.skipif(NODE is None, reason="no node: JavaScript's figures are not compared")
def test_a_time_is_the_same_text_in_both_languages() -> None:
    random.seed(5)
    some = [0.0, 0.3, 0.5, 1.0, 999.4, 999.5, 999.6, 1_000.0, 0.9994, 0.9995, 0.99951, 59_999.0]
    some += [n / 8 for n in range(1, 2_000)]  # many lie in the middle of two
    some += [random.uniform(1, 10) * 10.0**power for power in range(-6, 7) for _ in range(200)]
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", own_functions() + RUN], input=json.dumps(some), capture_output=True,
        text=True, timeout=120, check=True,
    )  # fmt: skip
    times, numbers = json.loads(done.stdout)
    assert times == [duration(ms / 1_000) for ms in some]
    assert numbers == [three_digits(number) for number in some]
    assert duration(0.3e-3) == "300 µs"
