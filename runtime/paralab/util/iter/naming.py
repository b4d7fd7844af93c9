"""What the calls of a shard are called, here and where they print.

Calls of all shards share the name that says what is done, ``iter sensors.for_each(celsius)``, and
by it views fold them.  One call is named by its shard and item as well: ``... shard 1 [7]``.
Items are counted as they leave the last stage, so behind a filter they are those that passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from paralab.call_names import noting_names, of_items, print_as
from paralab.engine import current
from paralab.shown_text import shown_name
from paralab.unseen_errors import untold
from paralab.util.iter.local import LocalIterator, _is_item


class Asked:
    """An actor that is asked for its items one after another.

    Args:
        actor: of the shard.
        work: what its calls and those of the other shards are called.
        part: which shard it is.
        method: which is called, and with what.
    """

    def __init__(self, actor: Any, work: str, part: str, method: str, *arguments: Any) -> None:
        self.actor = actor
        self._method = getattr(actor, method).options(name=shown_name(work))
        self._arguments = arguments
        self._name = shown_name(f"{work} {part}")
        self._note = noting_names(current())
        self._items = 0
        """How many were asked for; of batches, how many have come."""

    def next(self) -> Any:
        """The ref of the next item."""
        number = self._items
        self._items += 1
        return self._ask(of_items(self._name, number, 1))

    def next_batch(self) -> Any:
        """The ref of the next items; how many these are is known when they have come."""
        return self._ask(self._name)

    def _ask(self, name: str) -> Any:
        ref = self._method.remote(*self._arguments)
        untold(ref)  # it is asked for one item more than are taken, and that may be the end
        self._note((ref._entry.key, name))
        return ref

    def ended(self, ref: Any) -> None:
        """There were no more items."""
        self._note((ref._entry.key, f"{self._name} end"))

    def came(self, ref: Any, items: int) -> None:
        """A batch has come."""
        self._note((ref._entry.key, of_items(self._name, self._items, items)))
        self._items += items


def printing_as(work: str, part: str) -> Callable[[LocalIterator[Any]], LocalIterator[Any]]:
    """A stage that changes nothing: what the stages before it print is shown with the item."""
    name = shown_name(f"{work} {part}")

    def pass_on(items: Iterator[Any]) -> Iterator[Any]:
        number = 0
        while True:
            print_as(of_items(name, number, 1))
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                print_as("")
            yield item
            number += _is_item(item)

    return lambda shard: shard.transform(pass_on)
