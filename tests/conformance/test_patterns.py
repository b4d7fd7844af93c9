"""Programs in the patterns that books and courses on Ray Core teach, with results that are known.

Each is written as such a program is, from the driver's first line to its last, and nothing in it is
for the sake of the test but the numbers.
"""

# What @remote makes of a function or class is not known to mypy here.
# mypy: allow-untyped-decorators, disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
import collections
import random
from importlib import import_module
from typing import Any

import pytest

np = pytest.importorskip("numpy")
WAIT = 60
"""Seconds after which something hangs."""


def only_at_once(rt: Any) -> None:
    if rt.engine in ("local", "pickled"):
        pytest.skip("calls run one after the other")


def test_monte_carlo_pi_with_a_progress_actor(rt: Any) -> None:
    @rt.remote
    class Progress:
        def __init__(self, total: int) -> None:
            self.total = total
            self.done: dict[int, int] = {}

        def report(self, task: int, done: int) -> None:
            self.done[task] = done

        def share(self) -> float:
            return sum(self.done.values()) / self.total

    @rt.remote
    def sample(count: int, task: int, progress: Any) -> int:
        draw = random.Random(task).random
        inside = 0
        for i in range(count):
            inside += draw() ** 2 + draw() ** 2 <= 1
            if (i + 1) % 1_000 == 0:
                progress.report.remote(task, i + 1)
        rt.get(progress.report.remote(task, count))
        return inside

    tasks, each = 4, 2_500
    progress = Progress.remote(tasks * each)
    results = [sample.remote(each, task, progress) for task in range(tasks)]
    inside = sum(rt.get(results))
    assert abs(4 * inside / (tasks * each) - 3.14) < 0.1
    assert rt.get(progress.share.remote()) == 1.0


def make_parameter_server(rt: Any) -> Any:
    @rt.remote
    class Server:
        def __init__(self, size: int, rate: float) -> None:
            self.weights = np.zeros(size)
            self.rate = rate
            self.updates = 0

        def apply(self, *gradients: Any) -> Any:
            self.weights = self.weights - self.rate * np.mean(gradients, axis=0)
            self.updates += 1
            return self.weights

        def pull(self) -> Any:
            return self.weights

        def count(self) -> int:
            return self.updates

    return Server


@pytest.fixture
def gradient(rt: Any) -> Any:
    """The gradient of |w - target|² / 2 over one worker's part of the targets."""

    @rt.remote
    def gradient(weights: Any, targets: Any) -> Any:
        return weights - targets.mean(axis=0)

    return gradient


def test_a_synchronous_parameter_server(rt: Any, gradient: Any) -> None:
    size = 20_000  # large enough for shared memory
    targets = [rt.put(np.full((2, size), float(worker))) for worker in range(3)]
    server = make_parameter_server(rt).remote(size, 0.5)
    weights = server.pull.remote()
    for _ in range(20):
        gradients = [gradient.remote(weights, part) for part in targets]
        weights = server.apply.remote(*gradients)
    final = rt.get(weights)
    assert final.shape == (size,)
    assert np.allclose(final, 1.0, atol=1e-5)  # the mean of 0, 1 and 2
    assert rt.get(server.count.remote()) == 20


def test_an_asynchronous_parameter_server(rt: Any, gradient: Any) -> None:
    targets = {worker: rt.put(np.full((1, 10), 5.0)) for worker in range(3)}
    server = make_parameter_server(rt).remote(10, 0.3)
    started = server.pull.remote()
    running = {gradient.remote(started, part): worker for worker, part in targets.items()}
    for _ in range(40):
        (ready,), _rest = rt.wait(list(running))
        worker = running.pop(ready)
        running[gradient.remote(server.apply.remote(ready), targets[worker])] = worker
    assert rt.get(server.count.remote()) >= 40
    assert np.allclose(rt.get(server.pull.remote()), 5.0, atol=0.2)


def test_a_parameter_server_in_shards(rt: Any) -> None:
    server_class = make_parameter_server(rt)

    @rt.remote
    def train(steps: int, *shards: Any) -> None:
        for _ in range(steps):
            weights = np.concatenate(rt.get([shard.pull.remote() for shard in shards]))
            step = np.ones_like(weights)
            parts = np.split(step, len(shards))
            rt.get([shard.apply.remote(part) for shard, part in zip(shards, parts, strict=True)])

    shards = [server_class.remote(5, 1.0) for _ in range(2)]
    rt.get([train.remote(10, *shards) for _ in range(2)])
    for shard in shards:
        assert (rt.get(shard.pull.remote()) == -20).all()


WORDS = "the quick brown fox jumps over the lazy dog and the quick cat jumps over the fox"
TEXT = list(WORDS.split(" "))


def test_map_reduce(rt: Any) -> None:
    partitions = 3

    @rt.remote(num_returns=partitions)
    def count(words: list[str]) -> list[dict[str, int]]:
        parts: list[dict[str, int]] = [{} for _ in range(partitions)]
        for word in words:
            part = parts[ord(word[0]) % partitions]
            part[word] = part.get(word, 0) + 1
        return parts

    @rt.remote
    def add(*parts: dict[str, int]) -> dict[str, int]:
        total: collections.Counter[str] = collections.Counter()
        for part in parts:
            total.update(part)
        return dict(total)

    mapped = [count.remote(TEXT[i::4]) for i in range(4)]
    reduced = rt.get([add.remote(*column) for column in zip(*mapped, strict=True)])
    found: dict[str, int] = {}
    for part in reduced:
        assert not found.keys() & part.keys()
        found |= part
    assert found == dict(collections.Counter(TEXT))


def test_quicksort_as_a_tree_of_tasks(rt: Any) -> None:
    @rt.remote
    def sort(numbers: list[int]) -> list[int]:
        if len(numbers) < 50:
            return sorted(numbers)
        pivot = numbers[0]
        less = sort.remote([n for n in numbers[1:] if n < pivot])
        more = sort.remote([n for n in numbers[1:] if n >= pivot])
        left, right = rt.get([less, more])
        return [*left, pivot, *right]

    numbers = random.Random(3).sample(range(10_000), 400)
    assert rt.get(sort.remote(numbers)) == sorted(numbers)


def test_a_tree_of_actors(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Trainer:
        def __init__(self, rate: float) -> None:
            self.rate = rate
            self.loss = 1.0

        def fit(self) -> float:
            self.loss *= 1 - self.rate
            return self.loss

    @rt.remote(num_cpus=0)
    class Supervisor:
        def __init__(self, rates: list[float]) -> None:
            self.trainers = [Trainer.remote(rate) for rate in rates]

        def fit(self, rounds: int) -> list[float]:
            for _ in range(rounds - 1):
                rt.get([trainer.fit.remote() for trainer in self.trainers])
            return rt.get([trainer.fit.remote() for trainer in self.trainers])

    supervisors = [Supervisor.remote([0.5, 0.25]), Supervisor.remote([0.0])]
    losses = rt.get([each.fit.remote(2) for each in supervisors])
    assert losses == [[0.25, 0.5625], [1.0]]


def test_no_more_pending_tasks_than_wanted(rt: Any) -> None:
    @rt.remote
    def square(x: int) -> int:
        return x * x

    pending: list[Any] = []
    total = most = 0
    for x in range(40):
        if len(pending) >= 8:
            ready, pending = rt.wait(pending, num_returns=1)
            total += sum(rt.get(ready))
        pending.append(square.remote(x))
        most = max(most, len(pending))
    assert (total + sum(rt.get(pending)), most) == (sum(x * x for x in range(40)), 8)


def test_a_pipeline_of_generators(rt: Any) -> None:
    @rt.remote
    def read(count: int) -> Any:
        for i in range(count):
            yield np.full(50_000, i)

    @rt.remote
    def halve(chunks: list[Any]) -> Any:
        for ref in chunks:
            yield rt.get(ref) // 2

    sums = [int(rt.get(ref).sum()) for ref in halve.remote(list(read.remote(6)))]
    assert sums == [0, 0, 50_000, 50_000, 100_000, 100_000]


def test_an_actor_pool_of_models(rt: Any) -> None:
    @rt.remote
    class Model:
        def __init__(self, weights: Any) -> None:
            self.weights = weights

        def predict(self, batch: Any) -> Any:
            return batch @ self.weights

    weights = rt.put(np.arange(3.0))
    pool = rt.util.ActorPool([Model.remote(weights) for _ in range(2)])
    batches = [np.full((4, 3), float(i)) for i in range(7)]
    found = list(pool.map(lambda model, batch: model.predict.remote(batch), batches))
    assert [float(each[0]) for each in found] == [3.0 * i for i in range(7)]
    unordered = pool.map_unordered(lambda model, batch: model.predict.remote(batch), batches)
    assert sorted(float(each.sum()) for each in unordered) == [12.0 * i for i in range(7)]


def test_a_matrix_product_in_blocks(rt: Any) -> None:
    @rt.remote
    def multiply(a: Any, b: Any) -> Any:
        return a @ b

    @rt.remote
    def add(*blocks: Any) -> Any:
        return sum(blocks)

    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 9, (60, 60)), rng.integers(0, 9, (60, 60))
    cut = [slice(0, 30), slice(30, 60)]
    left = [[rt.put(a[i, k]) for k in cut] for i in cut]
    right = [[rt.put(b[k, j]) for j in cut] for k in cut]
    product = []
    for row in left:
        columns = zip(*right, strict=True)
        terms = [
            [multiply.remote(*pair) for pair in zip(row, each, strict=True)] for each in columns
        ]
        product.append([add.remote(*blocks) for blocks in terms])
    assert (np.block([rt.get(row) for row in product]) == a @ b).all()


def test_the_game_of_life_in_strips_that_know_each_other(rt: Any) -> None:
    @rt.remote(num_cpus=0)
    class Strip:
        def __init__(self, cells: Any) -> None:
            self.cells = cells.copy()

        def edges(self) -> tuple[Any, Any]:
            return self.cells[0].copy(), self.cells[-1].copy()

        def step(self, above: tuple[Any, Any], below: tuple[Any, Any]) -> None:
            full = np.vstack([above[1], self.cells, below[0]])
            around = sum(
                np.roll(np.roll(full, dy, 0), dx, 1)
                for dy in (-1, 0, 1)
                for dx in (-1, 0, 1)
                if (dy, dx) != (0, 0)
            )
            alive = (around == 3) | ((full == 1) & (around == 2))
            self.cells = alive[1:-1].astype(int)

        def get(self) -> Any:
            return self.cells

    board = np.zeros((12, 12), int)
    for y, x in ((0, 1), (1, 2), (2, 0), (2, 1), (2, 2)):  # a glider
        board[y, x] = 1
    strips = [Strip.remote(part) for part in np.split(board, 3)]
    for _ in range(48):  # it moves by one cell in four steps, and comes back where it was
        edges = [strip.edges.remote() for strip in strips]
        for i, strip in enumerate(strips):
            strip.step.remote(edges[i - 1], edges[(i + 1) % 3])
    assert (np.vstack(rt.get([strip.get.remote() for strip in strips])) == board).all()


def test_hyperparameters_are_tried_as_workers_become_free(rt: Any) -> None:
    @rt.remote
    def evaluate(x: float, y: float) -> float:
        return (x - 0.3) ** 2 + (y + 0.7) ** 2

    draw = random.Random(5).uniform
    trials: dict[Any, tuple[float, float]] = {}
    for _ in range(60):
        point = draw(-1, 1), draw(-1, 1)
        trials[evaluate.remote(*point)] = point
    best, waiting = (float("inf"), (0.0, 0.0)), list(trials)
    while waiting:
        ready, waiting = rt.wait(waiting, num_returns=min(5, len(waiting)))
        best = min(best, *((rt.get(ref), trials[ref]) for ref in ready))
    assert best[0] == min((x - 0.3) ** 2 + (y + 0.7) ** 2 for x, y in trials.values())


def test_tasks_wait_for_the_signal_of_an_async_actor(rt: Any) -> None:
    only_at_once(rt)

    @rt.remote(num_cpus=0)
    class Signal:
        def __init__(self) -> None:
            self.event = asyncio.Event()

        def send(self) -> None:
            self.event.set()

        async def wait(self) -> None:
            await self.event.wait()

    @rt.remote
    def go(signal: Any, number: int) -> int:
        rt.get(signal.wait.remote())
        return number

    signal = Signal.remote()
    waiting = [go.remote(signal, number) for number in range(4)]
    assert rt.wait(waiting, timeout=0.2) == ([], waiting)
    rt.get(signal.send.remote())
    assert rt.get(waiting, timeout=WAIT) == [0, 1, 2, 3]


def test_an_async_actor_batches_requests(rt: Any) -> None:
    only_at_once(rt)

    @rt.remote
    class Batcher:
        def __init__(self, size: int) -> None:
            self.size = size
            self.queue: list[tuple[int, asyncio.Future[int]]] = []
            self.batches: list[int] = []

        async def double(self, x: int) -> int:
            future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            self.queue.append((x, future))
            if len(self.queue) == self.size:
                batch, self.queue = self.queue, []
                self.batches.append(len(batch))
                for each, waiting in batch:
                    waiting.set_result(2 * each)
            return await future

        async def sizes(self) -> list[int]:
            return self.batches

    batcher = Batcher.remote(5)
    answers = rt.get([batcher.double.remote(x) for x in range(15)], timeout=WAIT)
    assert answers == [2 * x for x in range(15)]
    assert rt.get(batcher.sizes.remote()) == [5, 5, 5]


def test_a_crawler_whose_tasks_find_more_work(rt: Any) -> None:
    links = {"a": "bc", "b": "cd", "c": "a", "d": "ef", "e": "", "f": "a"}

    @rt.remote
    def fetch(page: str) -> tuple[str, str]:
        return page, links[page]

    seen, running = {"a"}, [fetch.remote("a")]
    order = []
    while running:
        (done,), running = rt.wait(running)
        page, found = rt.get(done)
        order.append(page)
        running += [fetch.remote(link) for link in found if link not in seen]
        seen |= set(found)
    assert sorted(order) == list("abcdef")


def test_a_controller_restores_a_worker_that_crashes(rt: Any, tmp_path: Any) -> None:
    @rt.remote
    class Worker:
        def __init__(self) -> None:
            self.state = {"done": 0}

        def work(self, crash: bool) -> int:
            if crash:
                raise SystemExit(1)
            self.state["done"] += 1
            return self.state["done"]

        def checkpoint(self) -> dict[str, int]:
            return self.state

        def restore(self, state: dict[str, int]) -> None:
            self.state = dict(state)

    worker, saved, crashes = Worker.remote(), {"done": 0}, 0
    for step in range(6):
        try:
            rt.get(worker.work.remote(step % 3 == 2))
            saved = rt.get(worker.checkpoint.remote())
        except rt.exceptions.RayActorError:
            crashes += 1
            worker = Worker.remote()
            rt.get(worker.restore.remote(saved))
    assert (rt.get(worker.checkpoint.remote()), crashes) == ({"done": 4}, 2)


def test_a_queue_between_producers_and_consumers(rt: Any) -> None:
    queue = import_module(f"{rt.library.__name__}.util.queue").Queue(maxsize=100)

    @rt.remote
    def produce(queue: Any, start: int) -> None:
        for i in range(start, start + 10):
            queue.put(i)

    @rt.remote
    def consume(queue: Any) -> list[int]:
        return [queue.get() for _ in range(10)]

    rt.get([produce.remote(queue, start) for start in (0, 10)])
    taken = rt.get([consume.remote(queue) for _ in range(2)])
    assert sorted([*taken[0], *taken[1]]) == list(range(20))
    assert queue.empty()
    queue.shutdown()


def test_one_large_argument_for_many_tasks(rt: Any) -> None:
    @rt.remote
    def part(data: Any, at: int) -> float:
        assert not data.flags.writeable or rt.engine == "local"
        return float(data[at::4].sum())

    data = np.arange(200_000.0)
    shared = rt.put(data)
    assert sum(rt.get([part.remote(shared, at) for at in range(4)])) == data.sum()
