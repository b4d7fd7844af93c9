"""``util.joblib``: joblib and scikit-learn on paralab, beside what they do in a plain loop.

loky itself is not started here: its processes stay for minutes, and its results are the loop's.
"""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import paralab
from paralab.exceptions import TaskError
from paralab.util.joblib import register_paralab, register_ray
from paralab.util.state import list_tasks

joblib: Any = pytest.importorskip("joblib")
np: Any = pytest.importorskip("numpy")

pytestmark = pytest.mark.slow
Parallel, delayed = joblib.Parallel, joblib.delayed


@pytest.fixture(scope="module", autouse=True)
def session(leak_check: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    register_paralab()
    with leak_check.postponed(request.node.nodeid):
        try:
            paralab.init(num_cpus=3)
            yield
        finally:
            paralab.shutdown()


@pytest.fixture(autouse=True)
def backend() -> Iterator[None]:
    with joblib.parallel_config(backend="paralab"):
        yield


def square(x: int) -> int:
    return x * x


def when(_x: int) -> tuple[float, float]:
    begun = time.monotonic()
    sum(range(20_000))
    return begun, time.monotonic()


def total(array: Any) -> tuple[float, bool]:
    return float(array.sum()), bool(array.flags.writeable)


def inner(n: int) -> list[int]:
    return list(Parallel(n_jobs=2)(delayed(square)(x) for x in range(n)))


def wait_for_ever(path: str) -> str:
    return Path(path).read_text()


def test_results_come_in_order_whatever_the_batches_are() -> None:
    expected = [x * x for x in range(300)]
    for batch_size in ("auto", 7):
        run = Parallel(n_jobs=-1, batch_size=batch_size)
        assert run(delayed(square)(x) for x in range(300)) == expected
    assert "Parallel square" in {task.func_or_class_name for task in list_tasks()}


def test_results_may_be_taken_as_they_come() -> None:
    for kind, put_in_order in (("generator", list), ("generator_unordered", sorted)):
        results = Parallel(n_jobs=2, return_as=kind)(delayed(square)(x) for x in range(20))
        assert put_in_order(results) == [x * x for x in range(20)]


def test_n_jobs_is_how_many_run_at_once() -> None:
    assert joblib.effective_n_jobs(-1) == 3
    assert joblib.effective_n_jobs(-2) == 2
    times = Parallel(n_jobs=2, batch_size=1)(delayed(when)(x) for x in range(30))
    for begun, _ended in times:
        assert sum(first <= begun < last for first, last in times) <= 2


def test_n_jobs_that_mean_nothing_or_too_much() -> None:
    with pytest.raises(ValueError, match="n_jobs == 0 in Parallel has no meaning"):
        Parallel(n_jobs=0)([delayed(square)(1)])
    with pytest.warns(UserWarning, match="n_jobs=9 .* only 3 CPUs"):
        assert Parallel(n_jobs=9)(delayed(square)(x) for x in range(4)) == [0, 1, 4, 9]
    with pytest.raises(TypeError, match="workers"):
        joblib.parallel_config(backend="paralab", workers=3)


def test_an_error_is_the_one_that_was_raised_and_says_where() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        Parallel(n_jobs=2)(delayed(divmod)(3, x) for x in (1, 2, 0, 4))
    assert type(caught.value) is ZeroDivisionError
    assert isinstance(caught.value.__cause__, TaskError)
    assert "Parallel divmod" in str(caught.value.__cause__)
    assert inner(3) == [0, 1, 4]


def test_what_cannot_be_pickled_is_named() -> None:
    for calls in ([square, threading.Lock().acquire], [square] * 40 + [threading.Lock().acquire]):
        with pytest.raises(pickle.PicklingError, match="Could not pickle the task") as caught:
            Parallel(n_jobs=2, batch_size=1)(delayed(call)(1) for call in calls)
        assert "lock" in str(caught.value.__cause__)


def test_a_generator_that_raises_is_heard_of() -> None:
    def calls() -> Iterator[Any]:
        yield from (delayed(square)(x) for x in range(40))
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"):
        Parallel(n_jobs=2, batch_size=1)(calls())


def test_a_worker_that_dies_is_said() -> None:
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(TerminatedWorkerError, match="SIGKILL"):
        Parallel(n_jobs=2)(delayed(die)() for _ in range(2))
    assert inner(3) == [0, 1, 4]


def test_a_timeout_ends_what_runs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(multiprocessing.TimeoutError):
        Parallel(n_jobs=3, timeout=0.05)(delayed(wait_for_ever)(tmp_path / "pipe") for _ in "123")
    assert len(Parallel(n_jobs=3)(delayed(square)(x) for x in range(30))) == 30


def test_loops_in_loops_share_the_cpus() -> None:
    # All CPUs have an outer task: without theirs, the inner ones would wait for ever.
    expected = [[x * x for x in range(n)] for n in range(4)]
    assert Parallel(n_jobs=3, batch_size=1)(delayed(inner)(n) for n in range(4)) == expected


def test_a_large_array_is_stored_once() -> None:
    from paralab.util.joblib.batches import Arrays, pack

    array = np.ones(300_000)
    assert set(Parallel(n_jobs=2)(delayed(total)(array) for _ in range(9))) == {(300_000.0, True)}
    arrays = Arrays(1_000_000)
    (first,), (second,) = pack([array, [array]], arrays)[1], pack({"deep": array}, arrays)[1]
    assert first == second
    assert len(pack([array, array[1:], array[:10]], arrays)[1]) == 2
    assert pack([array], Arrays(None))[1] == []
    del array
    gc.collect()
    assert arrays._refs == {}


def test_arrays_may_be_written_into_whatever_the_mode() -> None:
    array = np.ones(300_000)
    for mode in ("r", "c", None):
        results = Parallel(n_jobs=2, mmap_mode=mode, batch_size=1)([delayed(total)(array)] * 3)
        assert set(results) == {(300_000.0, True)}
    with pytest.raises(ValueError, match="mmap_mode='r\\+'"):
        Parallel(n_jobs=2, mmap_mode="r+")([delayed(total)(array)])


def test_large_results_may_be_written_into() -> None:
    for array in Parallel(n_jobs=2)(delayed(np.ones)(200_000) for _ in range(3)):
        np.add(array, 1, out=array)
        assert array.sum() == 400_000


def test_progress_is_said_in_joblibs_own_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Which counts are said depends on who ends first; first line, last line and form do not."""

    def said(backend: str, name: str, how: str) -> tuple[str, str]:
        with joblib.parallel_config(backend=backend):
            run = Parallel(n_jobs=2, verbose=10, batch_size=1, return_as=how)
            assert sorted(run(delayed(square)(x) for x in range(12))) == [x * x for x in range(12)]
        out, err = capsys.readouterr()
        assert not out
        lines = re.sub(r" *[\d.]+(s|min)\b", " T", err.replace(name, "backend")).splitlines()
        form = r"\[Parallel\(n_jobs=2\)\]: Done +(\d+) (?:tasks|out of +12) +\| elapsed: T(?: .*)?"
        steps = [re.fullmatch(form, line) for line in lines[1:]]
        counts = [int(step[1]) for step in steps if step]
        assert len(counts) == len(steps) > 1, lines
        assert counts == sorted(counts)
        return lines[0], lines[-1]

    for how in ("list", "generator", "generator_unordered"):
        ours = said("paralab", "ParalabBackend", how)
        assert ours == said("threading", "ThreadingBackend", how)


def test_a_bar_around_a_generator_moves_with_each_result(monkeypatch: pytest.MonkeyPatch) -> None:
    tqdm = pytest.importorskip("tqdm").tqdm
    monkeypatch.setattr(tqdm, "monitor_interval", 0)  # else it starts a thread, which stays
    results = Parallel(n_jobs=2, batch_size=1, return_as="generator")(
        delayed(square)(x) for x in range(5)
    )
    drawn, shown = io.StringIO(), {"bar_format": "{n}/{total}", "mininterval": 0, "miniters": 1}
    assert list(tqdm(results, total=5, file=drawn, **shown)) == [0, 1, 4, 9, 16]
    steps = [step.strip() for step in drawn.getvalue().split("\r")]
    assert [step for i, step in enumerate(steps) if step and step not in steps[:i]] == [
        f"{n}/5" for n in range(6)
    ]


def test_threads_of_numeric_libraries() -> None:
    pytest.importorskip("threadpoolctl")

    def threads() -> set[int]:
        import threadpoolctl

        np.ones((2, 2)) @ np.ones((2, 2))
        return {each["num_threads"] for each in threadpoolctl.threadpool_info()}

    assert Parallel(n_jobs=3)(delayed(threads)() for _ in range(3)) == [{1}] * 3
    with joblib.parallel_config(backend="paralab", inner_max_num_threads=2):
        assert Parallel(n_jobs=3)(delayed(threads)() for _ in range(3)) == [{2}] * 3
    assert Parallel(n_jobs=3)(delayed(threads)() for _ in range(3)) == [{1}] * 3


def test_under_rays_name() -> None:
    register_ray()
    with joblib.parallel_config(backend="ray", ray_remote_args={"num_cpus": 2}):
        assert inner(4) == [0, 1, 4, 9]


# -- scikit-learn ------------------------------------------------------------------------------


def digits(count: int = 200) -> tuple[Any, Any]:
    datasets = pytest.importorskip("sklearn.datasets")
    data, target = datasets.load_digits(return_X_y=True)
    return data[:count], target[:count]


def on_both(compute: Any) -> None:
    """``compute()`` comes to the same, to the last bit, in a loop and here."""
    ours = compute()
    with joblib.parallel_config(backend="sequential"):
        theirs = compute()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.timeout(180)  # scikit-learn takes seconds to import
def test_a_search_finds_the_same() -> None:
    data, target = digits()
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    def search() -> tuple[Any, ...]:
        model = LogisticRegression(max_iter=5, tol=0.1)
        found = GridSearchCV(model, {"C": [0.01, 1]}, cv=2, n_jobs=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.fit(data, target)
        return found.cv_results_["mean_test_score"], found.best_index_, found.predict(data)

    on_both(search)


@pytest.mark.timeout(180)  # scikit-learn takes seconds to import
def test_a_forest_is_the_same() -> None:
    data, target = digits()
    from sklearn.ensemble import RandomForestClassifier

    def grow() -> tuple[Any, ...]:
        forest = RandomForestClassifier(12, random_state=1, n_jobs=2).fit(data, target)
        return forest.predict_proba(data), forest.feature_importances_

    on_both(grow)


@pytest.mark.timeout(180)  # scikit-learn takes seconds to import
def test_a_fold_that_fails() -> None:
    data, target = digits(60)
    from sklearn.dummy import DummyClassifier
    from sklearn.exceptions import FitFailedWarning
    from sklearn.model_selection import cross_val_score

    class Picky(DummyClassifier):  # type: ignore[misc]
        def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Any:
            if x[0, 2] == data[0, 2]:
                raise ValueError("not with the first digit in front")
            return super().fit(x, y, sample_weight)

    def scores(error_score: Any) -> Any:
        return cross_val_score(Picky(), data, target, cv=3, n_jobs=2, error_score=error_score)

    with pytest.raises(ValueError, match="the first digit in front") as caught:
        scores("raise")
    assert "_fit_and_score" in str(caught.value.__cause__)
    with pytest.warns(FitFailedWarning, match="the first digit in front"):
        found = scores(-1.0)
    with joblib.parallel_config(backend="sequential"), pytest.warns(FitFailedWarning):
        np.testing.assert_array_equal(found, scores(-1.0))
