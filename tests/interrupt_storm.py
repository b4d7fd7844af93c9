"""A driver program that is interrupted at any moment: its beginning, what it does, and its end."""

from __future__ import annotations

from textwrap import dedent

START = """
import random

paralab.init(num_cpus=2)

@paralab.remote
def add(a, b=1):
    return a + b

class Storm(threading.Thread):
    '''Interrupts the main thread ``count`` times, at moments drawn from ``seed``.

    The next interrupt comes only when the last one has arrived, as an exception.
    '''

    def __init__(self, seed, count, most=0.002):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.left = count
        self.most = most
        self.go = threading.Semaphore(0)
        self.pause = threading.Event()
        self.main = threading.main_thread().ident

    def run(self):
        while True:
            self.go.acquire()
            if not self.left:
                return
            self.pause.wait(self.random.uniform(0, self.most))
            self.left -= 1
            signal.pthread_kill(self.main, signal.SIGINT)

def weather(storm, step):
    '''Runs ``step(number)`` until the storm is over; returns how many interrupts came.'''
    number = 0
    caught = []

    def came(report):
        # Python itself drops what is raised in a ``__del__`` method, and tells only this hook.
        assert report.exc_type is KeyboardInterrupt, report
        caught.append("in a finaliser")
        owed.append(1)

    def steps():
        nonlocal number
        while len(caught) < total:
            if owed:
                owed.clear()
                storm.go.release()
            number += 1
            step(number)

    # The next interrupt is asked for inside the try, so that none comes outside of it.  The loop
    # has a function of its own, as from Python 3.12 on the jump back to the head of a loop that
    # ends a try is not inside that try.
    owed = [1]
    sys.unraisablehook = came
    storm.start()
    while len(caught) < total:
        try:
            steps()
        except KeyboardInterrupt:
            caught.append("raised")
            owed.append(1)
    return len(caught)
"""
END = """
assert caught == total, (caught, total)
assert paralab.get([add.remote(n) for n in range(500)]) == [n + 1 for n in range(500)]
cluster = paralab.cluster_resources()
deadline = time.monotonic() + 60
while paralab.available_resources() != cluster:
    assert time.monotonic() < deadline, paralab.available_resources()
print("fine", caught)
"""
STEPS = {
    "get": """
        ref = add.remote(0)

        def step(number):
            global ref
            if number % 50 == 0:
                ref = add.remote(number)
            assert type(paralab.get(ref)) is int
            assert paralab.get(add.remote(number)) == number + 1
        """,
    "submit": """
        kept = {}

        def step(number):
            ref = add.remote(number)
            kept[number] = ref
            if len(kept) >= 300:
                while kept:
                    of, ref = kept.popitem()
                    assert paralab.get(ref) == of + 1
        """,
    "put": """
        kept = {}

        def step(number):
            kept[number] = paralab.put([number] * 10)
            if len(kept) >= 100:
                while kept:
                    of, ref = kept.popitem()
                    assert paralab.get(ref) == [of] * 10
        """,
    "put of a large value": """
        def step(number):
            ref = paralab.put(bytes([number % 256]) * 200_000)
            assert paralab.get(ref)[5] == number % 256
        """,
    "wait": """
        def step(number):
            refs = [add.remote(number + n) for n in range(5)]
            ready, rest = paralab.wait(refs, num_returns=3)
            assert len(ready) == 3 and len(rest) == 2
            assert sorted(paralab.get(ready + rest)) == [number + n + 1 for n in range(5)]
        """,
    "chain": """
        def step(number):
            ref = add.remote(number)
            for _ in range(10):
                ref = add.remote(ref)
            assert paralab.get(ref) == number + 11
        """,
    "await": """
        import asyncio

        async def several(number):
            first = await add.remote(number)
            return [first, *await asyncio.gather(*[add.remote(first + n) for n in range(3)])]

        def step(number):
            with asyncio.Runner() as runner:
                assert runner.run(several(number)) == [number + 1 + n for n in (0, 1, 2, 3)]
                # One that comes when the coroutine has just ended is noted there, and dropped.
                if runner._interrupt_count:
                    raise KeyboardInterrupt

        # An interrupt may strike asyncio itself, which then ends with half a loop or a coroutine.
        import warnings
        warnings.simplefilter("ignore")
        asyncio.BaseEventLoop.__del__ = lambda loop: None
        """,
    "actor": """
        @paralab.remote
        class Log:
            def __init__(self):
                self.seen = []

            def add(self, number):
                self.seen.append(number)
                return number

            def look(self):
                return self.seen

        log = Log.remote()
        submitted = []

        def step(number):
            ref = log.add.remote(number)
            submitted.append(number)
            if number % 20 == 0:
                assert paralab.get(ref) == number
            if number % 1000 == 0:
                look()

        def look():
            seen = paralab.get(log.look.remote())
            assert seen == sorted(set(seen)), "in order, each once"
            assert set(submitted) <= set(seen), "none is lost"
        """,
}


def stormy(what: str, seed: int, count: int) -> str:
    """A program that does one of ``STEPS`` again and again while ``count`` interrupts come."""
    storm = f"\ntotal = {count}\ncaught = weather(Storm({seed}, total), step)\n"
    return START + dedent(STEPS[what]) + storm + END
