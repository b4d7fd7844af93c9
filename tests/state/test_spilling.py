"""Who gets room, what leaves the arena, and that nobody ever sees another object's bytes."""

from __future__ import annotations

import errno

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from paralab.ids import make_address
from paralab.state import spilling as rules
from paralab.state.blocks import CELL
from paralab.state.object_table import ObjectTable
from paralab.state.spilling import (
    Instruction,
    Lend,
    Placed,
    Read,
    Refused,
    Request,
    Spilling,
    WhoLooks,
    Write,
)
from paralab.state.stored import Slice, StoreFull, Unreadable

MB = 1 << 20
SECOND = 1_000_000_000
A, B, C = (make_address(b"n" * 28, number, 0) for number in range(3))
FULL = OSError(errno.ENOSPC, "No space left on device")


class Store:
    """A store of 16 MB, and short names for what happens to it."""

    def __init__(self) -> None:
        self.table = ObjectTable(16 * MB)
        self.clients = [A, B]
        self.spilling = Spilling(self.table, lambda: self.clients)
        self.now = 0
        self.numbers = 0

    def out(self) -> list[Instruction]:
        out = self.spilling.out[:]
        self.spilling.out.clear()
        return out

    def ask(self, key: int, size: int | None, client: bytes = A) -> list[Instruction]:
        self.numbers += 1
        self.spilling.want(Request(client, self.numbers, (A, key), size), self.now)
        return self.out()

    def put(self, key: int, size: int) -> None:
        (placed,) = self.ask(key, size)
        assert isinstance(placed, Placed)
        assert self.table.seal(A, key, A)

    def answer(self, client: bytes, *keys: int) -> list[Instruction]:
        number = self.spilling._round
        self.spilling.looked(client, number, [(A, key) for key in keys], self.now)
        return self.out()

    def wrote(self, file: int = 7) -> list[Instruction]:
        self.spilling.written(file, self.now)
        return self.out()

    def visible(self, key: int) -> bool:
        place = self.table.locate(A, key)
        return place is not None and self.table.numbers[place.offset // CELL] == place.number


@pytest.fixture
def store() -> Store:
    return Store()


def test_the_oldest_leaves_when_all_have_said_that_they_do_not_look(store: Store) -> None:
    for key in range(4):
        store.put(key, 4 * MB)
    (question,) = store.ask(9, 4 * MB)
    assert question == WhoLooks([A, B], 1, [(A, 0)])
    assert not store.visible(0)
    assert store.answer(A) == []
    (write,) = store.answer(B)
    assert write == Write([(0, 4 * MB)])
    (placed,) = store.wrote()
    assert isinstance(placed, Placed)
    assert placed.place.offset == 0
    assert store.table.locate(A, 0) is None
    assert store.table.stats().spilled_objects == 1
    store.table.check()


def test_what_is_looked_at_stays_and_is_asked_about_last(store: Store) -> None:
    for key in range(4):
        store.put(key, 4 * MB)
    store.ask(9, 4 * MB)
    store.answer(A, 0)
    (question,) = store.answer(B)
    assert store.visible(0)
    assert question == WhoLooks([A, B], 2, [(A, 1)])
    store.answer(A)
    store.answer(B)
    store.wrote()
    store.table.seal(A, 9, A)
    (question,) = store.ask(10, 4 * MB)
    assert question == WhoLooks([A, B], 3, [(A, 2)])


def test_small_ones_go_together(store: Store) -> None:
    for key in range(16):
        store.put(key, MB)
    (question,) = store.ask(99, 128 << 10)
    assert isinstance(question, WhoLooks)
    assert question.refs == [(A, 0), (A, 1)], "an eighth of the store"


def test_it_comes_back_and_the_second_time_nothing_is_written(store: Store) -> None:
    for key in range(4):
        store.put(key, 4 * MB)
    store.ask(9, 4 * MB)
    store.answer(A)
    store.answer(B)
    store.wrote()
    store.table.seal(A, 9, A)
    store.table.free(A, 9)
    (read,) = store.ask(0, None, client=B)
    assert read == Read((A, 0), Slice(7, 0, 4 * MB), 0)
    assert store.ask(0, None, client=A) == [], "it is on its way"
    store.spilling.read((A, 0), None, store.now)
    first, second = store.out()
    assert isinstance(first, Placed)
    assert isinstance(second, Placed)
    assert (first.client, second.client) == (B, A)
    assert first.place == second.place == store.table.locate(A, 0)
    assert store.visible(0)
    for key in (1, 2, 3):
        store.table.free(A, key)
    (question,) = store.ask(5, 16 * MB)
    assert question == WhoLooks([A, B], 2, [(A, 0)])
    store.answer(A)
    (placed,) = store.answer(B)
    assert isinstance(placed, Placed), "its copy is there still"
    store.table.free(A, 0)
    assert store.table.unneeded == [Slice(7, 0, 4 * MB)]
    store.table.check()


@pytest.mark.parametrize("when", ["asked", "being written"])
def test_who_wants_it_again_in_time_finds_it_where_it_was(store: Store, when: str) -> None:
    store.put(0, 16 * MB)
    place = store.table.locate(A, 0)
    store.ask(9, 4 * MB)
    if when == "being written":
        store.answer(A)
        store.answer(B)
    (placed,) = store.ask(0, None, client=B)
    assert isinstance(placed, Placed)
    assert placed.place == place
    assert store.visible(0)
    if when == "asked":
        store.answer(A)
        assert store.answer(B) == [], "B looks now; the request rests"
    else:
        assert store.wrote() == []
    assert store.visible(0)
    store.table.check()


def test_freed_while_it_is_written(store: Store) -> None:
    store.put(0, 16 * MB)
    store.ask(9, 4 * MB)
    store.answer(A)
    store.answer(B)
    assert store.table.free(A, 0)
    store.spilling.go_on(store.now)
    (placed,) = store.out()
    assert isinstance(placed, Placed)
    assert store.wrote() == []
    assert store.table.unneeded == [Slice(7, 0, 16 * MB)]
    store.table.check()


def test_freed_while_it_is_read_back(store: Store) -> None:
    test_the_oldest_leaves_when_all_have_said_that_they_do_not_look(store)
    store.table.free(A, 1)
    (read,) = store.ask(0, None)
    assert isinstance(read, Read)
    store.table.free(A, 0)
    used = store.table.stats().used
    store.spilling.read((A, 0), None, store.now)
    (refused,) = store.out()
    assert isinstance(refused, Refused)
    assert refused.why is None
    assert store.table.stats().used == used - 4 * MB, "the thread wrote there until now"
    store.table.check()


def test_requests_are_met_in_order(store: Store) -> None:
    store.put(0, 16 * MB)
    store.ask(1, 12 * MB)
    assert store.ask(2, MB, client=B) == []
    store.answer(A)
    store.answer(B)
    first, second = store.wrote()
    assert isinstance(first, Placed)
    assert isinstance(second, Placed)
    assert (first.place.size, second.place.size) == (12 * MB, MB)


def test_what_is_larger_than_the_store_is_refused_at_once(store: Store) -> None:
    store.put(0, 16 * MB)
    (refused,) = store.ask(1, 17 * MB)
    assert isinstance(refused, Refused)
    assert isinstance(refused.why, StoreFull)
    assert store.visible(0)


@pytest.mark.parametrize(
    ("looker", "hope"), [(A, rules.OWN_HOPE_NS), (B, rules.HOPE_NS)], ids=["own", "another's"]
)
def test_hope_ends(store: Store, looker: bytes, hope: int) -> None:
    store.put(0, 16 * MB)
    assert store.ask(1, MB)
    for store.now in (0, rules.REST_NS, hope // 2, hope - 1):
        store.spilling.go_on(store.now)
        store.out()
        assert store.answer(A, *([0] if looker is A else [])) == []
        assert store.answer(B, *([0] if looker is B else [])) == []
    assert store.visible(0)
    store.now = 2 * hope
    store.spilling.go_on(store.now)
    store.out()
    store.answer(A, *([0] if looker is A else []))
    store.spilling.looked(B, store.spilling._round, [(A, 0)] if looker is B else [], store.now)
    refused = store.spilling.out[0]
    assert isinstance(refused, Refused)
    assert isinstance(refused.why, StoreFull)
    assert refused.looking == {looker: 16 * MB}


def test_a_rest_between_two_questions(store: Store) -> None:
    store.put(0, 16 * MB)
    store.ask(1, MB)
    store.answer(A, 0)
    store.answer(B)
    store.spilling.go_on(rules.REST_NS - 1)
    assert store.out() == []
    store.spilling.go_on(rules.REST_NS)
    assert len(store.out()) == 1


def test_a_full_disk_refuses_the_one_that_needed_it(store: Store) -> None:
    store.put(0, 16 * MB)
    store.ask(1, MB)
    store.ask(2, MB, client=B)
    store.answer(A)
    store.answer(B)
    store.spilling.not_written(FULL, store.now)
    refused, question = store.out()
    assert refused == Refused(A, 2, FULL, {})
    assert question == WhoLooks([A, B], 2, [(A, 0)]), "perhaps there is room for the next"
    store.answer(A)
    store.answer(B)
    (placed,) = store.wrote()
    assert isinstance(placed, Placed)
    store.table.check()


def test_a_file_that_cannot_be_read_is_that_objects_error(store: Store) -> None:
    test_the_oldest_leaves_when_all_have_said_that_they_do_not_look(store)
    store.table.free(A, 1)
    used = store.table.stats().used
    for _ in range(2):
        assert isinstance(store.ask(0, None)[0], Read)
        why = Unreadable("gone")
        store.spilling.read((A, 0), why, store.now)
        (refused,) = store.out()
        assert isinstance(refused, Refused)
        assert refused.why is why
        assert store.table.stats().used == used
    store.table.check()


def test_the_dead_neither_look_nor_wait(store: Store) -> None:
    store.put(0, 16 * MB)
    store.ask(1, MB, client=B)
    store.ask(2, MB)
    store.answer(A)
    store.table.process_died(B, [A])
    store.spilling.process_died(B, store.now)
    assert store.out() == [Write([(0, 16 * MB)])]
    (placed,) = store.wrote()
    assert isinstance(placed, Placed)
    assert placed.client == A


def test_who_gives_up_waits_no_more(store: Store) -> None:
    store.put(0, 16 * MB)
    store.ask(1, MB)
    store.spilling.withdraw(A, (A, 1))
    store.answer(A)
    store.answer(B)
    assert store.wrote() == []
    store.table.check()


def test_a_borrower_reads_what_a_dead_owner_spilled(store: Store) -> None:
    test_the_oldest_leaves_when_all_have_said_that_they_do_not_look(store)
    store.table.process_died(A, [B])
    store.spilling.process_died(A, store.now)
    store.clients = [B]
    question, *_ = store.ask(0, None, client=B)
    assert isinstance(question, Read), "what A had not sealed has made room"
    assert store.table.looker_done(A, B) != []
    store.spilling.read((A, 0), None, store.now)
    assert store.table.stats().used == 0
    assert len(store.table.unneeded) == 1
    store.table.check()


@pytest.mark.parametrize("why", ["all is looked at", "the disk is full"])
def test_what_cannot_come_back_is_read_where_it_is(store: Store, why: str) -> None:
    for key in range(2):
        store.put(key, 8 * MB)
    store.ask(2, 8 * MB)
    store.answer(A)
    store.answer(B)
    store.wrote()
    store.table.seal(A, 2, A)
    assert isinstance(store.ask(0, None)[0], WhoLooks)
    looked = (1, 2) if why == "all is looked at" else ()
    out: list[Instruction] = []
    for _ in range(50):
        out += store.answer(A) + store.answer(B, *looked)
        if store.spilling._writing:
            store.spilling.not_written(FULL, store.now)
        out += store.out()
        if any(isinstance(each, Lend) for each in out):
            break
        store.now += rules.REST_NS
        store.spilling.go_on(store.now)
    assert out[-1] == Lend(A, 4, Slice(7, 0, 8 * MB))
    assert (store.now < rules.OWN_HOPE_NS) == (not looked), "a full disk gives no hope"
    store.table.check()


KEYS = st.integers(0, 7)
SIZES = st.sampled_from([128 << 10, 300 << 10, MB, 3 * MB, 7 * MB, 16 * MB, 17 * MB])


class SpillingMachine(RuleBasedStateMachine):
    """Clients that look whenever they may, an arena and files with real contents.

    A byte stands for a cell: ``memory`` is the arena, and each object has its own value.
    """

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.store.clients = [A, B, C]
        self.memory = [0] * (16 * MB // CELL)
        self.files: dict[tuple[int, int], int] = {}  # file, position -> bytes
        self.file = 0
        self.value: dict[int, int] = {}  # key -> its bytes, while it lives
        self.values = 0
        self.places: dict[int, tuple[int, int, int]] = {}  # as last heard of; may be stale
        self.looks: dict[bytes, set[int]] = {A: set(), B: set(), C: set()}
        self.waiting: dict[int, tuple[bytes, int, bool]] = {}  # question -> client, key, to make
        self.questions: list[tuple[bytes, int, list[tuple[bytes, int]]]] = []
        self.copies: list[Write | Read] = []

    def cells(self, offset: int, size: int) -> range:
        return range(offset // CELL, offset // CELL + max(1, size // CELL))

    def carry_out(self) -> None:
        if not self.copies:  # one thread copies and drops, in order
            for copy in self.store.table.unneeded:
                del self.files[copy.file, copy.position]
            self.store.table.unneeded.clear()
        for instruction in self.store.out():
            match instruction:
                case Placed(_client, number, place):
                    client, key, makes = self.waiting.pop(number)
                    self.places[key] = place
                    if makes:
                        self.values += 1
                        self.value[key] = self.values
                        for cell in self.cells(*place[:2]):
                            self.memory[cell] = self.values
                        assert self.store.table.seal(A, key, client)
                    else:
                        self.check_bytes(key)
                case Refused(_client, number, why, _looking):
                    client, key, makes = self.waiting.pop(number)
                    if not makes:
                        self.looks[client].discard(key)
                        assert why is not None, "who looks holds a ref, so it was not freed"
                case WhoLooks(clients, number, refs):
                    self.questions += [(client, number, refs) for client in clients]
                case Lend(_client, number, copy):
                    client, key, makes = self.waiting.pop(number)
                    assert not makes
                    assert self.files[copy.file, copy.position] == self.value[key]
                    self.looks[client].discard(key)  # what it has now is a copy of its own
                case _:
                    self.copies.append(instruction)

    def check_bytes(self, key: int) -> None:
        offset, size, _number = self.places[key]
        found = {self.memory[cell] for cell in self.cells(offset, size)}
        assert found == {self.value[key]}, "somebody sees another object's bytes"

    def is_wanted(self, key: int) -> bool:
        return any(waits == key for _client, waits, _makes in self.waiting.values())

    @rule(key=KEYS, size=SIZES, client=st.sampled_from([A, B]))
    def make(self, key: int, size: int, client: bytes) -> None:
        if key not in self.value and not self.is_wanted(key):
            self.waiting[self.store.numbers + 1] = (client, key, True)
            self.store.numbers += 1
            request = Request(client, self.store.numbers, (A, key), size)
            self.store.spilling.want(request, self.store.now)
            self.carry_out()

    @rule(key=KEYS, client=st.sampled_from([A, B, C]))
    def look(self, key: int, client: bytes) -> None:
        if key not in self.value or key in self.looks[client]:
            return
        self.looks[client].add(key)  # first this, then the number is read
        offset, _size, number = self.places[key]
        if self.store.table.numbers[offset // CELL] == number:
            self.check_bytes(key)
            return
        self.store.numbers += 1
        self.waiting[self.store.numbers] = (client, key, False)
        request = Request(client, self.store.numbers, (A, key), None)
        self.store.spilling.want(request, self.store.now)
        self.carry_out()

    @rule(key=KEYS, client=st.sampled_from([A, B, C]))
    def look_away(self, key: int, client: bytes) -> None:
        if not self.is_wanted(key):
            self.looks[client].discard(key)

    @rule(key=KEYS)
    def free(self, key: int) -> None:
        if key in self.value and not any(key in looks for looks in self.looks.values()):
            del self.value[key]
            self.store.table.free(A, key)
            self.store.spilling.go_on(self.store.now)
            self.carry_out()

    @precondition(lambda self: self.questions)
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(0, len(self.questions) - 1))
        client, number, refs = self.questions.pop(at)
        seen = [ref for ref in refs if ref[1] in self.looks[client]]
        self.store.spilling.looked(client, number, seen, self.store.now)
        self.carry_out()

    @precondition(lambda self: self.copies)
    @rule(fails=st.booleans())
    def copy(self, fails: bool) -> None:
        self.copy_one(fails)

    def copy_one(self, fails: bool) -> None:
        spilling, now = self.store.spilling, self.store.now
        match self.copies.pop(0):
            case Write(blocks) if fails:
                spilling.not_written(FULL, now)
            case Write(blocks):
                self.file += 1
                position = 0
                for offset, size in blocks:
                    self.files[self.file, position] = self.memory[offset // CELL]
                    position += size
                spilling.written(self.file, now)
            case Read(ref, copy, offset):
                for cell in self.cells(offset, copy.size):
                    self.memory[cell] = 0 if fails else self.files[copy.file, copy.position]
                spilling.read(ref, Unreadable("no") if fails else None, now)
        self.carry_out()

    @rule(ms=st.sampled_from([1, 60, 3_000]))
    def time_passes(self, ms: int) -> None:
        self.store.now += ms * 1_000_000
        self.store.spilling.go_on(self.store.now)
        self.carry_out()

    @invariant()
    def consistent(self) -> None:
        self.store.table.check()
        for client, keys in self.looks.items():
            for key in keys:
                waits = any(who == client and it == key for who, it, _ in self.waiting.values())
                if not waits:
                    assert self.store.visible(key) or self.questions or self.copies
                    self.check_bytes(key)

    def teardown(self) -> None:
        self.looks = {A: set(), B: set(), C: set()}
        for _ in range(200):
            while self.questions or self.copies:
                if self.questions:
                    client, number, _refs = self.questions.pop(0)
                    self.store.spilling.looked(client, number, [], self.store.now)
                    self.carry_out()
                if self.copies:
                    self.copy_one(fails=False)
            if not self.waiting:
                break
            self.store.now += 100_000_000
            self.store.spilling.go_on(self.store.now)
            self.carry_out()
        assert not self.waiting, "everybody gets an answer"
        for key in list(self.value):
            self.store.table.free(A, key)
        self.carry_out()
        assert not self.files
        stats = self.store.table.stats()
        assert (stats.used, stats.objects, stats.spilled_objects) == (0, 0, 0)
        assert not any(self.store.table.numbers)
        self.store.table.check()


TestSpilling = SpillingMachine.TestCase
TestSpilling.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
