"""Predictions in JupyterLab: chosen by a click or by keys, and shown beside the result."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab import notebook, opened, run_cell

ASK = """\
from paralab_profiling import predict
guess = predict("In threads it is", {"faster": "They take turns.", "the same": "", "slower": ""})
guess
"""
RESULT = """\
print("measured in three runs:")
guess.outcome("the same", "1.02 × as fast")
"""


def asked(jupyter: Any, name: str) -> Any:
    """A page on which the question has been asked and its result is folded away."""
    path = jupyter.folder / f"{name}.ipynb"
    notebook(path, ASK, RESULT)
    book = json.loads(path.read_text())
    book["cells"][1]["metadata"] = {"jupyter": {"outputs_hidden": True}}
    old = {"output_type": "stream", "name": "stdout", "text": "measured before\nby another\n"}
    book["cells"][1]["outputs"] = [old]
    path.write_text(json.dumps(book))
    page = opened(jupyter.browser, jupyter.address, path.name)
    assert not page.get_by_text("by another").is_visible(), "folded until it is run"
    run_cell(page, 0)
    page.get_by_role("radio").nth(2).wait_for()
    # What is read without the choice has a list of the options, which goes when the choice shows.
    page.locator(".jp-OutputArea-output ol").wait_for(state="detached")
    return page


@pytest.mark.parametrize("way", ["click", "keys"])
def test_a_choice_stands_beside_the_result(jupyter: Any, way: str) -> None:
    page = asked(jupyter, f"predict-{way}")
    radios = page.get_by_role("radio")
    assert radios.count() == 3
    assert not any(radios.nth(at).is_checked() for at in range(3)), "no answer is suggested"
    if way == "click":
        page.get_by_text("faster", exact=True).last.click()
    else:
        radios.first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        assert page.evaluate("() => document.activeElement.classList.contains('jp-Cell')")
    page.wait_for_function("() => document.querySelectorAll('input[type=radio]')[0].checked")
    run_cell(page, 1)
    result = page.get_by_role("status").filter(has_text="you predicted")
    result.wait_for()  # running a cell unfolds what it shows
    told = " ".join(result.inner_text().split())
    assert told == (
        "In threads it is you predicted faster measured the same (1.02 × as fast) They take turns."
    )
    page.wait_for_function("() => document.querySelectorAll('input[type=radio]:disabled').length")
    page.screenshot(path=str(jupyter.folder / f"predict-{way}.png"))
    page.close()
