"""More in the store than fits: who waits for room, and what leaves the arena for a file.

A view costs no message, so the node does not know who looks at an object.  It asks::

    request does not fit ──▶ choose victims, hide them ──▶ "do you look at any of these?"
                                                                  │ all have answered, or died
    what somebody looks at is shown again ◀───────────────────────┤
    what has a copy in a file already is evicted ◀────────────────┤
    the rest is written to one file, and then evicted ◀───────────┘
    the request is met, or there are further victims; when all have been tried: a rest, again

Rules:

* *Hiding* takes the placement's number away, which every process reads after it has noted that
  it begins to look and before it does look.  So who did not say that it looks cannot begin to:
  it finds no number and asks the node for the object.  That asking ends the spilling of this
  object, whose number comes back, if it has not left yet; else it is read back from its file.
* Victims are what was placed, read back or looked at least recently; enough for the request, and
  as many small ones as make a file worth its while.
* Requests are met in order, so that a large one is not overtaken for ever.  Only what needs no room
  is answered at once.
* Nobody is refused while there is hope: what is looked at may be let go.  But a process that looks
  at all of it itself, and waits, will rarely do so; it gets its error sooner.
* What cannot be read back, for want of room, is read by the process that needs it, into memory of
  its own.  So a task with an input in the arena and one in a file does not wait for its like, and
  on a full disk all can be read that was ever stored.
* A file that cannot be written is an error of the request that needed it, and of nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from paralab.ids import Address
from paralab.state.allocator import rounded
from paralab.state.object_table import ObjectTable
from paralab.state.stored import AlreadyStored, Placement, Slice, Stored, StoreError, StoreFull

Ref = tuple[Address, int]

TOGETHER = 100 << 20
"""Bytes that are spilled at once, if there are so many; of a small store an eighth."""
REST_NS = 50_000_000
"""Until those are asked again who look at all that there is."""
HOPE_NS = 30_000_000_000
"""For so long a request waits for others to let go of what they look at."""
OWN_HOPE_NS = 2_000_000_000
"""The same if nobody but the process that asks looks at anything."""


@dataclass(eq=False, slots=True)
class Request:
    """Somebody needs room: for a new object, or (``size`` None) for one to be read back."""

    client: Address
    number: int
    ref: Ref
    size: int | None
    home: int = 0
    """The (virtual) node of the client."""
    first_since: int = -1
    """When it became the first in line, in ns."""


class Placed(NamedTuple):
    """To be answered with a place."""

    client: Address
    number: int
    place: Placement


class Refused(NamedTuple):
    """To be answered with an error: None if the object is gone, else why it has no place."""

    client: Address
    number: int
    why: StoreError | OSError | None
    looking: dict[Address, int]
    """Bytes that each process looks at."""


class WhoLooks(NamedTuple):
    """Clients are to say which of these objects they look at."""

    clients: list[Address]
    round: int
    refs: list[Ref]


class Write(NamedTuple):
    """A new file is to be written from these (offset, size); ``written`` or ``not_written``."""

    blocks: list[tuple[int, int]]


class Read(NamedTuple):
    """An object is to be read back into the arena; then ``read``."""

    ref: Ref
    copy: Slice
    offset: int


class Lend(NamedTuple):
    """There is no room to read it back: the client is to read the file into its own memory."""

    client: Address
    number: int
    copy: Slice


Instruction = Placed | Refused | WhoLooks | Write | Read | Lend


class Spilling:
    """What happens to requests for room in one store.

    Args:
        table: its objects.
        clients: who may look at any of them now.
    """

    def __init__(self, table: ObjectTable, clients: Callable[[], Iterable[Address]]) -> None:
        self._table = table
        self._clients = clients
        self.waiting: deque[Request] = deque()
        self.out: list[Instruction] = []
        """What is to be done; the shell empties it."""
        self._round = 0
        self._awaited: set[Address] = set()  # has not answered; from the question on
        self._asked: dict[Ref, Stored] = {}  # from the question until it or the file is done
        self._victims: dict[Ref, Stored] = {}  # those of them that may go still
        self._writing: list[Stored] = []
        self._readers: dict[Ref, list[tuple[Address, int]]] = {}  # from Read until it is done
        self._sweep = 1  # each object is tried once in a sweep
        self._rest_until = 0
        self._looking: dict[Address, int] = {}  # client -> bytes, in this sweep
        self._trouble: OSError | None = None  # of this sweep

    # -- requests -------------------------------------------------------------------------

    def want(self, request: Request, now: int) -> None:
        """A client needs room, or the place of an object whose number has gone."""
        if (self.waiting and self._needs_room(request)) or not self._met(request):
            self.waiting.append(request)
            self.go_on(now)

    def withdraw(self, client: Address, ref: Ref) -> None:
        """The client does not want to make this object any more."""
        kept = [each for each in self.waiting if (each.client, each.ref) != (client, ref)]
        self.waiting = deque(kept)

    def go_on(self, now: int) -> None:
        """Meets who can be met, and makes room for the next; when space was freed, and at times."""
        while self.waiting:
            head = self.waiting[0]
            if self._met(head):
                self.waiting.popleft()
                continue
            if self._asked or now < self._rest_until:
                return
            if head.first_since < 0:
                head.first_since = now
                self._begin_sweep()
            if victims := self._choose(head):
                self._ask(victims, now)
                return
            if (why := self._hopeless(head, now)) is not None:
                self.waiting.popleft()
                self.out.append(self._lent(head) or self._refused(head, why))
            else:
                self._rest_until = now + REST_NS
            self._begin_sweep()

    def _lent(self, head: Request) -> Lend | None:
        entry = self._table.find(*head.ref)
        if head.size is not None or entry is None or entry.copy is None:
            return None
        return Lend(head.client, head.number, entry.copy)

    def _refused(self, head: Request, why: StoreError | OSError) -> Refused:
        return Refused(head.client, head.number, why, dict(self._looking))

    def _begin_sweep(self) -> None:
        self._sweep += 1
        self._looking.clear()
        self._trouble = None

    def _needs_room(self, request: Request) -> bool:
        entry = self._table.find(*request.ref)
        return request.size is not None or (entry is not None and not entry.block)

    def _met(self, request: Request) -> bool:
        try:
            if request.size is None:
                return self._find_again(request)
            place = self._create(request, request.size)
            self.out.append(Placed(request.client, request.number, place))
        except StoreError as error:
            if isinstance(error, StoreFull) and rounded(error.asked) <= error.capacity:
                return False
            self.out.append(Refused(request.client, request.number, error, {}))
        return True

    def _create(self, request: Request, size: int) -> Placement:
        try:
            return self._table.create(*request.ref, request.client, size, request.home)
        except AlreadyStored:
            # By an attempt that died before it could answer: its owner never heard of it.
            self._table.discard(*request.ref)
            return self._table.create(*request.ref, request.client, size, request.home)

    def _find_again(self, request: Request) -> bool:
        client, number, ref = request.client, request.number, request.ref
        entry = self._table.find(*ref)
        if entry is None:
            self.out.append(Refused(client, number, None, {}))
        elif ref in self._readers:
            self._readers[ref].append((client, number))
        elif entry.block:
            if self._victims.pop(ref, None):
                self._table.show(entry)
            self.out.append(Placed(client, number, entry.place))
        else:
            assert entry.copy is not None
            self._table.reload(entry)
            self._readers[ref] = [(client, number)]
            self.out.append(Read(ref, entry.copy, entry.place.offset))
        return True

    def _size(self, request: Request) -> int:
        entry = self._table.find(*request.ref)
        return request.size or (entry.place.size if entry else 0)

    def _hopeless(self, head: Request, now: int) -> StoreError | OSError | None:
        others = head.size is not None and self._looking.keys() - {head.client}
        waited = now - head.first_since
        if self._trouble is not None or waited < (HOPE_NS if others else OWN_HOPE_NS):
            return self._trouble
        return self._table.full(self._size(head))

    # -- making room ----------------------------------------------------------------------

    def _choose(self, head: Request) -> list[Stored]:
        chosen = []
        lacking = max(rounded(self._size(head)), min(TOGETHER, self._table.allocator.capacity // 8))
        for entry in self._table.sealed.values():
            if entry.tried != self._sweep:
                chosen.append(entry)
                lacking -= entry.block
                if lacking <= 0:
                    break
        return chosen

    def _ask(self, victims: list[Stored], now: int) -> None:
        self._round += 1
        self._asked = {entry.ref: entry for entry in victims}
        self._victims = dict(self._asked)
        for entry in victims:
            entry.tried = self._sweep
            self._table.hide(entry)
        self._awaited = set(self._clients())
        self.out.append(WhoLooks(sorted(self._awaited), self._round, list(self._asked)))
        self._all_answered(now)

    def looked(self, client: Address, number: int, refs: Iterable[Ref], now: int) -> None:
        """The answer to :class:`WhoLooks`."""
        if number != self._round or client not in self._awaited:
            return
        for ref in refs:
            entry = self._asked.get(ref)
            if entry is not None:
                self._looking[client] = self._looking.get(client, 0) + entry.block
                if self._victims.pop(ref, None):
                    self._table.show(entry)
        self._awaited.discard(client)
        self._all_answered(now)

    def _all_answered(self, now: int) -> None:
        if self._awaited or self._writing or not self._asked:
            return
        victims = [entry for entry in self._victims.values() if self._table.is_here(entry)]
        self._writing = [entry for entry in victims if entry.copy is None]
        for entry in victims:
            if entry.copy is not None:
                self._table.evict(entry)
        if self._writing:
            self.out.append(Write([entry.place[:2] for entry in self._writing]))
        else:
            self._asked.clear()
            self.go_on(now)

    def written(self, file: int, now: int) -> int:
        """The file is there; returns how many bytes have left the arena."""
        position = spilled = 0
        for entry in self._writing:
            copy = Slice(file, position, entry.place.size)
            position += copy.size
            if not self._table.is_here(entry):  # it was freed meanwhile
                self._table.unneeded.append(copy)
                continue
            entry.copy = copy
            if entry.ref in self._victims:
                self._table.evict(entry)
                spilled += copy.size
        self._end_round(now)
        return spilled

    def not_written(self, why: OSError, now: int) -> None:
        """There is no file, and all is as it was."""
        for entry in self._writing:
            if entry.ref in self._victims:
                self._table.show(entry)
        self._trouble = why
        self._end_round(now)

    def _end_round(self, now: int) -> None:
        self._writing = []
        self._asked.clear()
        self._victims.clear()
        self.go_on(now)

    def read(self, ref: Ref, error: StoreError | None, now: int) -> None:
        """An object was read back, or could not be: then who asked gets that error."""
        self._table.reloaded(*ref, failed=error is not None)
        place = None if error else self._table.locate(*ref)
        for client, number in self._readers.pop(ref):
            if place is not None:
                self.out.append(Placed(client, number, place))
            else:
                self.out.append(Refused(client, number, error, {}))
        self.go_on(now)

    def process_died(self, address: Address, now: int) -> None:
        """A client is gone; it wants nothing and looks at nothing.  Tell the table first."""
        self.waiting = deque(each for each in self.waiting if each.client != address)
        self._awaited.discard(address)
        self._all_answered(now)
        self.go_on(now)
