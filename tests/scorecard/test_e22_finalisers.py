"""E22: refs wherever Python can keep them, finalisers that call paralab, and ends of programs.

Each is a program of its own: it must end in time, say nothing but what it is asked, and leave no
object, call, process or file behind.
"""

from __future__ import annotations

import time
from textwrap import dedent
from typing import Any

import pytest
from program import program

START = """
import atexit, contextvars, gc, traceback, weakref

paralab.init(num_cpus=2)

@paralab.remote
def add(a, b=1):
    return a + b

@paralab.remote
class Counter:
    def __init__(self):
        self.n = 0

    def next(self):
        self.n += 1
        return self.n

class Keeps:
    '''An object in a cycle, so that the garbage collector decides when it goes.'''

    def __init__(self, at_end=None):
        self.ref = add.remote(1)
        self.me = self
        self.at_end = at_end

    def __del__(self):
        if self.at_end is not None:
            self.at_end(self.ref)

def nothing_left():
    from paralab.engine import current
    core = current()
    deadline = time.monotonic() + 60
    while core.ownership.owned or core.ownership.borrowed or core.calls.table.pending:
        assert time.monotonic() < deadline, (core.ownership.owned, core.calls.table.pending)
        core.info("workers")
        gc.collect()

REFUSED = "waits for a paralab object while the runtime itself is at work"

def works_or_is_refused(seen, call):
    '''A finaliser that may run inside of the engine: then what waits is refused by name.'''
    def at_end(ref):
        try:
            seen.append(call(ref))
        except RuntimeError as error:
            assert REFUSED in str(error), error
            seen.append(None)
    return at_end
"""

KEPT = {
    "cycles": """
        for n in range(100):
            one, other = Keeps(), Keeps()
            one.other, other.other = other, one
            one.outer = paralab.put([one.ref, other.ref])
        del one, other
        """,
    "exceptions": """
        def fail(ref):
            local = add.remote(ref)
            raise ValueError(ref, local)

        def caught():
            try:
                fail(add.remote(1))
            except ValueError as error:
                return error

        error = caught()
        assert paralab.get(list(error.args)) == [2, 3]
        inner = error.__traceback__.tb_next.tb_frame.f_locals["local"]
        assert paralab.get(inner) == 3
        try:
            paralab.get(add.remote("x"))
        except TypeError as failed:
            kept = failed
        sys.last_value = kept
        del error, inner, kept, sys.last_value
        """,
    "closures": """
        def make():
            ref = add.remote(5)
            return paralab.remote(lambda: paralab.get(ref))

        task = make()
        assert paralab.get([task.remote() for _ in range(10)]) == [6] * 10
        del task, make
        """,
    "thread locals, context variables, class attributes, defaults": """
        local, variable = threading.local(), contextvars.ContextVar("variable")

        def thread():
            local.ref = add.remote(1)
            variable.set(add.remote(2))
            assert paralab.get([local.ref, variable.get()]) == [2, 3]

        for _ in range(5):
            at_work = threading.Thread(target=thread)
            at_work.start()
            at_work.join()

        class Holder:
            ref = add.remote(3)

            def get(self, default=add.remote(4)):
                return paralab.get([self.ref, default])

        assert Holder().get() == [4, 5]
        del Holder, at_work
        """,
    "generators that stopped half way": """
        def stream():
            ref = add.remote(1)
            yield paralab.get(ref)
            yield paralab.get(add.remote(ref))

        streams = [stream() for _ in range(20)]
        assert [next(each) for each in streams] == [2] * 20
        remote = paralab.remote(lambda: (yield from range(100))).remote()
        next(remote)
        del streams, remote
        """,
}

CALLS = {
    "get": "paralab.get(ref) - 2",
    "wait": "len(paralab.wait([ref], timeout=60)[1])",
    "put": "paralab.get(paralab.put(0))",
    "remote": "paralab.get(add.remote(-1))",
    "an actor": "min(paralab.get(counter.next.remote()), 0)",
    "no waiting": "type(add.remote(1, paralab.put(1))) is not paralab.ObjectRef",
}

ENDS = {
    "work in flight": (
        0,
        """
        @paralab.remote
        def long():
            threading.Event().wait()

        refs = [add.remote(n) for n in range(2_000)]
        counter = Counter.remote()
        refs += [counter.next.remote() for _ in range(100)]
        refs += [long.remote() for _ in range(3)]
        """,
    ),
    "refs and views in globals, modules and cycles": (
        0,
        """
        large = paralab.put(bytes(300_000))
        view = paralab.get(large)
        counter = Counter.remote()
        sys.modules["kept"] = kept = Keeps()
        threading.kept = Keeps()
        paralab.kept = [add.remote(n) for n in range(10)]
        """,
    ),
    "finalisers that call paralab after its end": (
        0,
        """
        def late(ref, get=paralab.get, put=paralab.put, add=add):  # globals may be gone by then
            for call in (lambda: get(ref), lambda: put(1), lambda: add.remote(1)):
                try:
                    call()
                except (RuntimeError, ValueError, ImportError):
                    print("refused")

        kept = Keeps(late)
        """,
    ),
    "daemon threads at work": (
        0,
        """
        def at_work():
            try:
                while True:
                    paralab.get(add.remote(1))
            except Exception:
                pass  # the session has ended

        for _ in range(3):
            threading.Thread(target=at_work, daemon=True).start()
        paralab.get(add.remote(1))
        """,
    ),
    "a thread that is waited for": (
        0,
        """
        go = threading.Event()

        def later():
            go.wait()
            print(paralab.get(add.remote(1)))

        threading.Thread(target=later).start()
        threading.Timer(0.1, go.set).start()
        """,
    ),
    "sys.exit in a handler while get waits": (
        7,
        """
        @paralab.remote
        def long():
            threading.Event().wait()

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
        paralab.get(long.remote())
        """,
    ),
    "os._exit in a thread": (
        4,
        """
        refs = [add.remote(n) for n in range(200)]
        threading.Thread(target=lambda: os._exit(4)).start()
        threading.Event().wait()
        """,
    ),
    "atexit handlers that call paralab": (
        0,
        """
        atexit.register(lambda: print(paralab.get(add.remote(1))))
        """,
    ),
    "atexit handlers that call it after its end": (
        0,
        """
        from paralab.lifecycle import _at_exit

        def late():
            try:
                add.remote(1)
            except RuntimeError as error:
                print("exiting" in str(error))

        atexit.unregister(_at_exit)
        atexit.register(late)
        atexit.register(_at_exit)
        """,
    ),
}
SAID = {
    "finalisers that call paralab after its end": "refused\n" * 3,
    "a thread that is waited for": "2\n",
    "atexit handlers that call paralab": "2\n",
    "atexit handlers that call it after its end": "True\n",
}


def ran(source: str) -> tuple[int, str, str]:
    with program(START + dedent(source)) as driver:
        return driver.end(50)


@pytest.mark.parametrize("where", KEPT)
def test_refs_wherever_they_are_kept(where: str) -> None:
    ending = "\ngc.collect()\nnothing_left()\nprint('fine')\n"
    assert ran(dedent(KEPT[where]) + ending) == (0, "fine\n", "")


@pytest.mark.parametrize("what", CALLS)
def test_finalisers_that_call_paralab(what: str) -> None:
    source = f"""
    seen = []
    counter = Counter.remote()
    at_end = works_or_is_refused(seen, lambda ref: {CALLS[what]})
    for n in range(100):
        Keeps(at_end)
        if n % 10 == 0:
            assert paralab.get(add.remote(n)) == n + 1
    kept = Keeps()
    weakref.finalize(kept, at_end, add.remote(1))
    gone = weakref.ref(kept, lambda _: at_end(add.remote(1)))
    del kept
    gc.collect()
    assert len(seen) == 102 and not any(seen), seen
    del counter
    nothing_left()
    print("fine")
    """
    assert ran(source) == (0, "fine\n", "")


@pytest.mark.parametrize("where", ["driver", "task", "async actor"])
def test_the_collector_at_any_moment(where: str, scorecard: Any) -> None:
    source = f"""
    def work(count):
        seen = []
        counter = Counter.remote()
        at_end = works_or_is_refused(seen, lambda ref: paralab.get(ref) - 2)
        gc.set_threshold(1)
        for n in range(count):
            Keeps(at_end)
            refs = [add.remote(n), paralab.put(n + 1)]
            assert paralab.get(refs) == [n + 1, n + 1]
            assert paralab.get(counter.next.remote()) == n + 1
            assert len(paralab.wait(refs, num_returns=2)[0]) == 2
        gc.set_threshold(700, 10, 10)
        gc.collect()
        assert len(seen) == count and not any(seen), seen
        return len(seen)

    @paralab.remote
    class Loop:
        async def work(self, count):
            gc.set_threshold(1)
            for n in range(count):
                Keeps(lambda ref: add.remote(ref))
                assert await add.remote(n) == n + 1
            gc.set_threshold(700, 10, 10)
            return count

    loop = Loop.remote()
    count = {200 if scorecard.full else 40}
    ways = {{
        "driver": lambda: work(count),
        "task": lambda: max(paralab.get([paralab.remote(work).remote(count) for _ in range(3)])),
        "async actor": lambda: paralab.get(loop.work.remote(count)),
    }}
    assert ways[{where!r}]() == count
    del loop, ways
    nothing_left()
    print("fine")
    """
    start = time.perf_counter()
    assert ran(source) == (0, "fine\n", "")
    seconds = round(time.perf_counter() - start, 2)
    scorecard.figure(
        "E22",
        f"a program that collects at every object, in a {where}",
        seconds,
        "s",
        short="collected at every object: {} at most",
    )


@pytest.mark.parametrize("how", ENDS)
def test_the_end_of_a_program(how: str, scorecard: Any) -> None:
    code, source = ENDS[how]
    with program(START + dedent(source) + "\nsys.stdin.readline()\n") as driver:
        start = time.perf_counter()
        assert driver.end(50, "go on\n") == (code, SAID.get(how, ""), "")
        seconds = time.perf_counter() - start
    if how == "work in flight":
        scorecard.figure(
            "E22",
            "start, and exit with 2,100 calls in flight",
            round(seconds, 2),
            "s",
            short="start, and exit with 2,100 calls in flight: {} at most",
        )
