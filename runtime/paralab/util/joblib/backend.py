"""A backend of joblib whose batches are tasks.

::

    Parallel ──submit──▶ backend ──▶ task "Parallel f" ──▶ worker, one CPU
       ▲                   │ no more than n_jobs at once
       └──── callback ◀────┴──── thread "paralab-callbacks", when a task has settled

joblib measures batches and makes them longer where they are short (AutoBatchingMixin).  In a
task, ``Parallel`` has a backend of this kind too, so nested loops share the session's CPUs: while
the outer one waits, its CPU is lent.  joblib waits by looking every 10 ms, which the runtime cannot
see, so a thread waits beside it for the inner tasks (``retrieval_context``).

Source: joblib's ``_parallel_backends.py``, as of 1.3 and later.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from joblib.externals.loky.process_executor import TerminatedWorkerError
from joblib.parallel import (
    AutoBatchingMixin,
    FallbackToBackend,
    ParallelBackendBase,
    SequentialBackend,
)

import paralab
from paralab.call_names import name_of, noting_names, of_items
from paralab.engine import current
from paralab.exceptions import TaskError, WorkerCrashedError
from paralab.object_futures import call_when_settled
from paralab.shown_text import shown_name
from paralab.util.joblib.batches import Arrays, pack, run_batch
from paralab.util.multiprocessing.pool import join_session

_LOOK_SECONDS = 0.01
"""How often a nested call looks whether it has tasks to wait for."""


class Outcome:
    """What a task came to: what joblib calls a future."""

    def __init__(self) -> None:
        self.value: Any = None
        """The pickle of its results, or an exception."""


class ParalabBackend(AutoBatchingMixin, ParallelBackendBase):
    """What ``register_paralab`` registers.

    Args:
        nesting_level: how many calls of ``Parallel`` stand above; given by joblib.
        inner_max_num_threads: threads that BLAS and OpenMP may use in a task; by default the
            CPUs of the session divided by ``n_jobs``, as with loky.
        remote_args, ray_remote_args: options of the tasks.

    Raises:
        TypeError: there are other parameters.
    """

    supports_retrieve_callback = True
    supports_inner_max_num_threads = True
    default_n_jobs = -1

    def __init__(
        self,
        nesting_level: int | None = None,
        inner_max_num_threads: int | None = None,
        remote_args: dict[str, Any] | None = None,
        ray_remote_args: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise TypeError(
                f"This backend has no parameter {', '.join(map(repr, unknown))}; it has "
                "inner_max_num_threads and remote_args."
            )
        super().__init__(nesting_level=nesting_level)
        self.inner_max_num_threads = inner_max_num_threads
        self._remote_args = {**(ray_remote_args or {}), **(remote_args or {})}
        if nesting_level:
            self.default_n_jobs = 1  # what has no n_jobs stays serial in a task, as with loky
        self._lock = threading.RLock()
        self._limit: int | None = None
        """How many tasks may be under way; None leaves that to the session's CPUs."""
        self._running: dict[Any, Callable[[], None]] = {}
        """By ref, what settles it: until it has settled, or all is aborted."""
        self._waiting: deque[Callable[[], None]] = deque()
        """What starts the batches beyond the limit."""
        self._items = 0
        """How many calls the batches so far had, of one call of Parallel."""
        self._arrays = Arrays(None)
        self._threads: tuple[int, int] | None = None
        self._options: dict[str, Any] = {}
        self._tasks: dict[str, Any] = {}
        """The task of a batch by the name that it shows, for the calls of one Parallel."""

    def __reduce__(self) -> Any:
        return ParalabBackend, (self.nesting_level, self.inner_max_num_threads, self._remote_args)

    def effective_n_jobs(self, n_jobs: int | None) -> int:
        """How many tasks can run at once: no more than the session has CPUs.

        Raises:
            ValueError: ``n_jobs`` is 0.
        """
        if n_jobs == 0:
            raise ValueError("n_jobs == 0 in Parallel has no meaning")
        if n_jobs is None:
            return 1
        cpus = join_session(None, None)
        return max(cpus + 1 + n_jobs, 1) if n_jobs < 0 else min(n_jobs, cpus)

    def configure(
        self,
        n_jobs: int = 1,
        parallel: Any = None,
        prefer: Any = None,
        require: Any = None,
        max_nbytes: int | None = 1_000_000,
        mmap_mode: str | None = "r",
        **_of_others: Any,
    ) -> int:
        """Prepares for calls of ``parallel``; how many tasks can run at once.

        Args:
            max_nbytes: arrays from this size go through the store.
            mmap_mode: "r" and "c" are the same here: each task may write into its arrays, and only
                what is written is copied.  None turns it off.

        Raises:
            ValueError: ``mmap_mode`` asks for arrays that tasks could change for all others.
        """
        running = self.effective_n_jobs(n_jobs)
        cpus = join_session(None, None)
        if n_jobs > cpus:
            warnings.warn(
                f"n_jobs={n_jobs} was asked for, but the session has only {cpus} CPUs: {running} "
                "run at once, the rest waits. paralab.init(num_cpus=...) sets how many there are.",
                stacklevel=4,
            )
        if running == 1:
            raise FallbackToBackend(SequentialBackend(nesting_level=self.nesting_level))
        if mmap_mode not in ("r", "c", None):
            raise ValueError(
                f"mmap_mode={mmap_mode!r} is not possible on paralab, where objects do not change: "
                "use 'r', 'c' or None, and return what is computed."
            )
        self.parallel = parallel
        self._limit = running if running < cpus else None
        self._arrays = Arrays(None if mmap_mode is None else max_nbytes)
        self._options = {"num_cpus": 1, "max_retries": 0, **self._remote_args}
        self._tasks = {}
        own = max(1, int(self._options["num_cpus"] or 0))
        wanted = self.inner_max_num_threads or _from_environment() or max(cpus // running, 1)
        self._threads = None if wanted == own else (wanted, own)
        return running

    def get_nested_backend(self) -> tuple[ParallelBackendBase, int | None]:
        """What ``Parallel`` uses inside of a task."""
        level = (self.nesting_level or 0) + 1
        nested = ParalabBackend(level, self.inner_max_num_threads, self._remote_args)
        return nested, None

    def start_call(self) -> None:
        """A call of Parallel begins."""
        self._items = 0

    # -- one batch ---------------------------------------------------------------------------

    def submit(self, func: Any, callback: Callable[[Any], None] | None = None) -> Outcome:
        """Has a batch run as a task; ``callback`` gets its outcome, in a thread of its own."""
        outcome = Outcome()
        first, self._items = self._items, self._items + len(func.items)

        def tell() -> None:
            if callback is not None:
                callback(outcome)

        def start() -> None:
            try:
                self._start(func, first, outcome, tell)
            except Exception as error:  # whoever waits for the batch is to hear of it
                outcome.value = error
                tell()

        with self._lock:
            if self._limit is not None and len(self._running) >= self._limit:
                self._waiting.append(start)
                return outcome
        start()
        return outcome

    apply_async = submit
    """Its name before joblib 1.5."""

    def _start(self, batch: Any, first: int, outcome: Outcome, tell: Callable[[], None]) -> None:
        data, refs = pack(batch, self._arrays)
        name = shown_name(f"Parallel {name_of(batch.items[0][0])}")
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = paralab.remote(run_batch).options(name=name, **self._options)
        shown = of_items(name, first, len(batch.items))
        ref = task.remote(data, self._threads, shown, *refs)
        noting_names(current())((ref._entry.key, shown))

        def settled(value: Any) -> None:
            with self._lock:
                if self._running.pop(ref, None) is None:
                    return  # it was aborted
                following = self._waiting.popleft() if self._waiting else None
            if following is not None:
                following()
            outcome.value = value
            tell()

        with self._lock:
            self._running[ref] = tell
        call_when_settled(ref, settled)

    def retrieve_result_callback(self, out: Outcome) -> Any:
        """The results of a batch.

        Raises:
            Exception: what a call has raised, with where it happened as its cause.
            TerminatedWorkerError: the process of the task has ended.
        """
        value, out.value = out.value, None
        if isinstance(value, TaskError):
            raise value.cause from value.with_traceback(None)
        if isinstance(value, WorkerCrashedError):
            raise TerminatedWorkerError(
                f"A worker process ended unexpectedly while it ran a batch of calls: {value}"
            ) from value
        if isinstance(value, BaseException):
            raise value
        return pickle.loads(value)

    # -- the end -----------------------------------------------------------------------------

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Ends the tasks that run and forgets those that wait: nobody will take their results."""
        with self._lock:
            refs = list(self._running)
            self._running.clear()
            self._waiting.clear()
        for ref in refs:
            paralab.cancel(ref, force=True)

    def terminate(self) -> None:
        """After a call, or the last of several."""
        self._arrays = Arrays(self._arrays.least)
        self.reset_batch_stats()

    @contextlib.contextmanager
    def retrieval_context(self) -> Iterator[None]:
        """Lends the CPU of the task in which this is, while its inner tasks are waited for."""
        if paralab.get_runtime_context().get_task_id() is None:
            yield
            return
        over = threading.Event()
        thread = threading.Thread(
            target=self._wait_beside, args=(over,), name="paralab-joblib", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _wait_beside(self, over: threading.Event) -> None:
        while not over.is_set():
            with self._lock:
                refs = list(self._running)
            if refs:
                paralab.wait(refs, num_returns=1, timeout=1.0)
            over.wait(_LOOK_SECONDS)


def _from_environment() -> int | None:
    """How many threads the user has set for the numeric libraries of all processes."""
    for name in ParallelBackendBase.MAX_NUM_THREADS_VARS:
        value = os.environ.get(name, "")
        if value.isdigit() and int(value):
            return int(value)
    return None
