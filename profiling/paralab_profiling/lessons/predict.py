"""A question before an experiment, and the answer kept until the result is there.

Who predicts first learns from what follows, even when the prediction is wrong; who only watches
does not (Crouch, Fagen, Callan and Mazur, American Journal of Physics 2004).  So a prediction is
one click, or one line of code, and its place is beside the result::

    guess = predict("With two threads, the loop is ...", ["faster", "the same", "slower"])
    guess                              # in a notebook: the question, and a choice to click
    guess.outcome("the same", "1.02 × as fast")

Nobody has to answer: without an answer everything goes on.  The choice is a widget, where there
is anywidget, and an output of its own; ``predict("slower")`` does the same without it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from paralab.shown_text import shown_text
from paralab_profiling.note import Note, facts
from paralab_profiling.svg import escape

NO_ANSWER = "no prediction made"


class Prediction:
    """A question with a few answers, one of which may have been chosen.

    Attributes:
        question: what is asked.
        options: the answers.
        choice: the chosen one; None until there is one.
    """

    def __init__(self, question: str, options: Sequence[str] | Mapping[str, str]) -> None:
        self.question = question
        self.options = tuple(options)
        self.choice: str | None = None
        self._replies = dict(options) if isinstance(options, Mapping) else {}
        self._widgets: list[Any] = []
        if len(set(self.options)) < 2:
            raise ValueError(f"A prediction needs two different options; got {self.options!r}.")

    def choose(self, answer: str | int) -> None:
        """Keeps an answer.

        Args:
            answer: an option, how an option begins, or its number from 1 on.

        Raises:
            ValueError: it is no option, or begins several of them.
        """
        if isinstance(answer, int):
            found = [self.options[answer - 1]] if 1 <= answer <= len(self.options) else []
        else:
            wanted = " ".join(answer.split()).casefold()
            found = [each for each in self.options if each.casefold() == wanted]
            if not found and wanted:
                found = [each for each in self.options if each.casefold().startswith(wanted)]
        if len(found) != 1:
            options = ", ".join(f"{at}: {each}" for at, each in enumerate(self.options, 1))
            what = "several of the options" if found else "none of the options"
            raise ValueError(f"{answer!r} is {what}. They are {options}.")
        self.choice = found[0]
        for widget in self._widgets:
            widget.choice = self.choice

    def outcome(self, actual: str, evidence: str = "") -> Note:
        """The prediction beside what was measured.

        After this a click no longer changes the prediction.

        Args:
            actual: what happened, in the words of an option where one of them says it.
            evidence: the figures that it rests on.
        """
        for widget in self._widgets:
            widget.is_closed = True
        measured = f"{actual} ({evidence})" if evidence else actual
        rows = [("you predicted", self.choice or NO_ANSWER), ("measured", measured)]
        reply = "" if self.choice in (None, actual) else self._replies.get(self.choice or "", "")
        return facts(self.question, rows, reply)

    def __repr__(self) -> str:
        return self._note().text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return self._note()._repr_mimebundle_()

    def _ipython_display_(self) -> None:
        display = importlib.import_module("IPython.display").display
        widget = _choice(self)
        if widget is None:
            display(self._note())
            return
        place = display(self._note(), display_id=True)
        display(widget)
        # Only who sees the choice knows: nbclient, and what was saved without it, keep the list.
        widget.observe(lambda _: place.update(self._note(has_widget=True)), names="is_shown")

    def _note(self, has_widget: bool = False) -> Note:
        answer = f"Your prediction: {self.choice}." if self.choice else ""
        way = f'Or, in a cell of its own: predict("{self.options[0]}")'
        text = "\n".join([f"Predict: {self.question}", _listed(self.options), answer or way])
        items = "".join(f"<li>{escape(each)}</li>" for each in self.options)
        code = f"<code>predict({escape(repr(self.options[0]))})</code>"
        html = f"<p><strong>Predict:</strong> {escape(self.question)}</p>"
        if not has_widget:
            html += f"<ol>{items}</ol>"
        html += f"<p>{escape(answer)}</p>" if answer else f"<p>Choose, or run {code}.</p>"
        return Note(shown_text(text), html)


class Predictions:
    """Asks, and remembers what was asked, so that an answer needs no name of a question.

    A question enters when it is asked first and stays as long as its notebook's process: asked
    again, as by "run all", it still has its answer.
    """

    def __init__(self) -> None:
        self._asked: dict[str, Prediction] = {}

    def __call__(
        self,
        question: str | int,
        options: Sequence[str] | Mapping[str, str] | None = None,
    ) -> Prediction:
        """Asks a question, or, without ``options``, answers the one that was asked last.

        Args:
            question: what is asked; or the answer: an option, how it begins, or its number.
            options: the answers, two or more; as a mapping, each with the reply that is shown
                to who has chosen it and was wrong.

        Returns:
            The question: shown by a notebook, and with :meth:`Prediction.outcome` to be called
            when the result is there.

        Raises:
            ValueError: the answer is not one of the options, no question was asked, or there
                are fewer than two options.
        """
        if options is None:
            if not self._asked:
                raise ValueError("No question was asked yet: predict(question, [option, ...])")
            last = next(reversed(self._asked.values()))
            last.choose(question)
            return last
        asked = Prediction(str(question), options)
        before = self._asked.pop(asked.question, None)
        if before is not None and before.choice in asked.options:
            asked.choice = before.choice
        self._asked[asked.question] = asked
        return asked


predict = Predictions()
"""The questions of this process, which is one notebook's kernel."""


def _choice(prediction: Prediction) -> Any:
    """A widget with the options, or None where nothing could show it."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if not hasattr(shell, "kernel"):
        return None
    try:
        widget = _widget_class()(
            question=shown_text(prediction.question),
            options=list(prediction.options),
            choice=prediction.choice or "",
        )
    except ImportError:
        return None

    def chosen(change: Any) -> None:
        if change["new"] in prediction.options:
            prediction.choice = change["new"]

    widget.observe(chosen, names="choice")
    prediction._widgets.append(widget)
    return widget


def _listed(options: Iterable[str]) -> str:
    return "\n".join(f"  {at} {each}" for at, each in enumerate(options, 1))


@cache
def _widget_class() -> Any:
    import anywidget
    import traitlets

    module = files(__package__).joinpath("predict.js").read_text(encoding="utf-8")
    members: dict[str, Any] = {
        "_esm": module,
        "question": traitlets.Unicode().tag(sync=True),
        "options": traitlets.List().tag(sync=True),
        "choice": traitlets.Unicode().tag(sync=True),
        "is_shown": traitlets.Bool(default_value=False).tag(sync=True),
        "is_closed": traitlets.Bool(default_value=False).tag(sync=True),
        # What a page without a kernel shows in the widget's place: the question above it has no
        # list any more.
        "__repr__": lambda self: shown_text(_listed(self.options)),
    }
    return type("PredictWidget", (anywidget.AnyWidget,), members)
