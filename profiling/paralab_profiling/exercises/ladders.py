"""Hints, one at a time: each failure of the same kind gives the next step, as does asking for it.

::

    0  what was measured and expected    the verdict itself, always
    1  a question about what they see
    2  the idea, and where it is explained
    3  the same idea in code for another task
    4  the solution, and a question about it; after two tries at the earliest

Questions that make one explain teach more than the next step told; what the ladder rests on is
in ``exercises/README.md``.
"""

from __future__ import annotations

from dataclasses import dataclass

from paralab_profiling.lessons.checking import Verdict

STEPS = 4
TRIES_FOR_SOLUTION = 2


@dataclass(frozen=True, slots=True)
class Ladder:
    """The hints for one kind of mistake.

    Attributes:
        question: about the learner's own figures or picture.
        idea: named, with the notebook that explains it.
        example: code for a different task.
        explain: what to say in one sentence about the solution.
    """

    question: str
    idea: str
    example: str
    explain: str = "In one sentence: which line makes the difference, and why?"

    def hint(self, step: int, solution: str) -> str:
        """The text of a step from 1 to 4; "" for 0."""
        if step <= 0:
            return ""
        if step < STEPS:
            head = ("Look", "Idea", "Same idea, other task")[step - 1]
            text = (self.question, self.idea, self.example)[step - 1]
        else:
            head, text = "A solution", f"{solution.strip()}\n\n{self.explain}"
        gap = "\n" if "\n" in text else " "
        return f"Hint {step} of {STEPS}. {head}:{gap}{text}"


COMMON = {
    "result": Ladder(
        "For the smallest input that you can think of: what does your function return, and what "
        "should it?",
        "Make it right before it is fast. Call it in a cell of its own, with an input whose answer "
        "you know.",
        "assert my_mean([1, 3]) == 2\nassert my_mean([5]) == 5",
    ),
    "reference": Ladder(
        "What does type(...) say of the value that your function returns?",
        "A reference stands for a value that may not exist yet; get waits for it (notebook 01).",
        "texts = paralab.get([read.remote(name) for name in names])",
    ),
    "error": Ladder(
        "Read the last line of the error first. Which of your lines does the traceback name last?",
        "An error of a task comes back with get, with the task's own traceback below it "
        "(notebook 01).",
        "try:\n    paralab.get(parse.remote('12 apples'))\nexcept ValueError as error:\n"
        "    print(error)",
    ),
    "hung": Ladder(
        "Which line is named as the last one? What has to happen so that it goes on?",
        "get and wait stand still until a task has ended. A loop ends only if its condition "
        "changes.",
        "done, open_ = paralab.wait(refs, num_returns=len(refs), timeout=1)\nprint(len(open_))",
    ),
}
"""For mistakes that every exercise has; a checker's own ladders go before them."""


def next_step(before: int, tries: int) -> int:
    """The step after ``before``; the last one only after enough ``tries``."""
    most = STEPS if tries >= TRIES_FOR_SOLUTION else STEPS - 1
    return min(before + 1, most)


def not_yet(kind: str, failed: str, *rows: str) -> Verdict:
    """A verdict in the order in which all speak.

    Args:
        kind: of the mistake; names its ladder.
        failed: what failed, one sentence.
        rows: measured, expected, why it matters, and what to do next.
    """
    names = ("measured", "expected", "why it matters", "next")
    return Verdict("not yet", f"Not yet: {failed}", list(zip(names, rows, strict=True)), kind=kind)
