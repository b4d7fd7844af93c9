"""Profiles as plain data: trees, merging, comparing, files and pictures, without a session."""

from __future__ import annotations

import json
import pstats
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from paralab_profiling import Profile, ProfileError, flame, icicle, merge, stamp, sunburst
from paralab_profiling.profilers import Function, Tree, Where, words

CLEAN = Where("clean", "clean.py", 3, "task")
LOAD = Where("load", "load.py", 1, "task")
NEAREST = Where("nearest", "clean.py", 14)
DISTANCE = Where("distance", "clean.py", 31)
NORM = Where("_norm", "numpy/linalg.py", 40, "library")
HOSTILE = Where("<script>\x1b[2J;a\nb", "x<y>.py", 1)


def profile(factor: float = 1.0, tasks: int = 8) -> Profile:
    tree = Tree()
    tree.add([CLEAN], 0.1, tasks)
    tree.add([CLEAN, NEAREST], 0.1)
    tree.add([CLEAN, NEAREST, DISTANCE], 0.25 * factor)
    tree.add([CLEAN, NEAREST, DISTANCE, NORM], 0.25 * factor)
    tree.add([LOAD], 0.3, 1)
    return Profile(
        *("pyinstrument", "s", tree.frames()),
        workers={2: tasks, 3: 1},
        seconds=1.1,
        samples=1000,
        stamp=stamp().facts(),
    )


def test_own_and_total_by_function() -> None:
    found = profile()
    assert found.own("distance") == 0.25
    assert found.total("distance") == 0.5
    assert found.total("clean") == pytest.approx(0.7)
    assert found.own("nowhere") == found.total("nowhere") == 0
    assert found.total_of_all == pytest.approx(1.0)
    assert found.tasks == {"clean": 8, "load": 1}


def test_recursion_counts_once_in_totals() -> None:
    tree = Tree()
    for depth in range(1, 5):
        tree.add([CLEAN, *[NEAREST] * depth], 1.0)
    found = Profile("t", "s", tree.frames())
    assert found.own("nearest") == found.total("nearest") == 4.0
    [nearest] = [frame for frame in found.top() if frame.name == "nearest"]
    assert nearest.total == 4.0


def test_a_deep_stack_is_shortened_and_loses_nothing(tmp_path: Path) -> None:
    tree = Tree()
    tree.add([CLEAN, *[NEAREST] * 5000, DISTANCE], 2.0)
    found = Profile("t", "s", tree.frames())
    assert found.own("distance") == found.total_of_all == 2.0
    assert Profile.load(found.save(tmp_path / "deep.json")) == found
    assert "all tasks" in found.picture.svg


def test_merging_adds_tasks_figures_and_workers() -> None:
    both = merge([profile(), profile(2.0)])
    assert both.tasks == {"clean": 16, "load": 2}
    assert both.own("distance") == pytest.approx(0.75)
    assert both.workers == {2: 16, 3: 2}
    assert (both.samples, both.seconds) == (2000, 2.2)
    assert len([1 for root in both.roots for _ in root.walk()]) == 5
    assert both.roots == profile(2.0).merge(profile()).roots


def test_what_does_not_fit_together_is_refused() -> None:
    other = replace(profile(), unit="samples")
    with pytest.raises(ProfileError, match="pyinstrument in s and of pyinstrument in samples"):
        merge([profile(), other])
    with pytest.raises(ProfileError, match="cannot be compared"):
        profile().compare(other)
    with pytest.raises(ProfileError, match="got no profile"):
        merge([])
    with pytest.raises(ProfileError, match="not 'parsecs'"):
        Profile("t", "parsecs", ())
    with pytest.raises(ProfileError, match="does not count calls"):
        profile().calls("clean")


def test_merging_counted_functions_keeps_their_callers() -> None:
    def part(*names: str) -> Profile:
        made = [Function(name, "f.py", 1, 2, 2, 1.0, 2.0) for name in names]
        made[1] = replace(made[1], callers=((0, 2, 2, 1.0, 2.0),))
        return Profile("cprofile", "s", (), functions=tuple(made))

    both = merge([part("a", "b"), part("c", "b", "a")])
    names = [each.name for each in both.functions]
    assert both.calls("b") == 4
    [b] = [each for each in both.functions if each.name == "b"]
    assert {names[caller]: calls for caller, calls, *_ in b.callers} == {"a": 2, "c": 2}


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
def test_a_file_gives_back_what_was_saved(tmp_path: Path, ending: str) -> None:
    found = replace(profile(), cost=1.5, missed={"why": 2}, extra={"rows": [[1, "a"]]})
    assert Profile.load(found.save(tmp_path / f"run{ending}")) == found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data | {"format": "another"}, "no profile of paralab"),
        (lambda data: data | {"version": 99}, "of another version .*99"),
        (lambda data: data | {"version": "1"}, "of another version"),
        (lambda data: data | {"unit": "miles"}, "not 'miles'"),
        (lambda data: data | {"roots": [{}]}, "damaged: .*kind"),
        (lambda data: data | {"functions": [{"callers": [[7, 1, 1, 1, 1]]}]}, "damaged"),
        (lambda data: [data], "no profile of paralab"),
    ],
)
def test_other_files_are_refused_in_a_sentence(tmp_path: Path, change: object, said: str) -> None:
    assert callable(change)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(change(profile().to_dict())))
    with pytest.raises(ProfileError, match=f"run.json: .*{said}"):
        Profile.load(path)


@pytest.mark.parametrize("ending", [".json", ".json.gz"])
def test_files_cut_short_are_refused(tmp_path: Path, ending: str) -> None:
    path = profile().save(tmp_path / f"run{ending}")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ProfileError, match="cut short"):
        Profile.load(path)
    path.write_bytes(b"[" * 200_000)
    with pytest.raises(ProfileError, match="no profile"):
        Profile.load(path)


def test_other_programs_get_their_formats(tmp_path: Path) -> None:
    found = profile()
    assert "clean;nearest;distance;_norm 250000\n" in found.to_collapsed()
    scope = found.to_speedscope()
    [run] = scope["profiles"]
    assert sum(run["weights"]) == pytest.approx(1.0)
    assert max(max(each) for each in run["samples"]) < len(scope["shared"]["frames"])
    with pytest.raises(ValueError, match="does not count calls"):
        found.save(tmp_path / "run.prof")
    with pytest.raises(ValueError, match=r"run\.txt"):
        found.save(tmp_path / "run.txt")
    counted = replace(found, functions=(Function("f", "f.py", 1, 3, 2, 1.0, 2.0),))
    stats = pstats.Stats(str(counted.save(tmp_path / "run.prof")))
    assert stats.total_calls == 3  # type: ignore[attr-defined]


def test_other_programs_get_no_control_characters_and_no_halves_of_characters() -> None:
    tree = Tree()
    tree.add([Where("a\x1b[2J", "x\ud800\x07.py", 1)], 0.1)
    tree.add([Where("a\x1b[3J", "x\ud800\x07.py", 1)], 0.2)
    found = Profile("sampler", "s", tree.frames(), workers={1: 1})
    scope = json.dumps(found.to_speedscope(), ensure_ascii=False)
    scope.encode()  # what speedscope reads is UTF-8, which has no halves
    assert not {*"\x1b\x07\ud800"} & {*found.to_collapsed()}
    frames = json.loads(scope)["shared"]["frames"]
    assert {each["name"] for each in frames} == {"a\ufffd[2J", "a\ufffd[3J"}
    assert {each["file"] for each in frames} == {"x\ufffd\ufffd.py"}


def test_the_title_is_the_finding() -> None:
    assert profile().title == "50 % of 1.00 s in distance, over 9 tasks"
    assert "1,000 samples" in repr(profile())
    assert Profile("t", "s", ()).title == "Nothing was measured: no task ran"
    missed = Profile("t", "s", (), missed={"busy": 2})
    assert "2 tasks could not be profiled" in missed.title
    assert "2 tasks not profiled: busy" in words.note(missed)
    assert max(map(len, repr(profile()).splitlines())) <= 80


def test_a_comparison_says_what_changed() -> None:
    found = profile().compare(profile(0.5))
    assert found.changes[0].more == pytest.approx(-0.125 / 9)
    assert "less a task" in found.title
    assert 0.7 < found.ratio < 0.8
    assert found.to_dict()["changes"][0]["name"] in {"distance", "_norm"}
    ET.fromstring(found.picture.svg)
    empty = Profile("t", "s", ())
    assert "Nothing to compare" in empty.compare(empty).title


def test_cpu_and_wall_seconds_stay_apart() -> None:
    wall = profile()
    cpu = replace(wall, extra={"clock": ["cpu"], "notes": ["CPU seconds"]})
    for together in (wall.merge, cpu.compare):
        with pytest.raises(ProfileError, match="wall-clock seconds cannot be"):
            together(cpu if together == wall.merge else wall)
    twice = cpu.merge(cpu, Profile("pyinstrument", "s", ()))
    assert words.note(twice).count("CPU seconds") == 1
    assert cpu.compare(twice).ratio == pytest.approx(1.0)


@pytest.mark.parametrize("draw", [icicle, flame, sunburst])
def test_hostile_names_are_text(draw: object) -> None:
    tree = Tree()
    tree.add([CLEAN, HOSTILE], 1.0, 1)
    assert callable(draw)
    picture = draw(Profile("<b>", "s", tree.frames()))
    ET.fromstring(picture.svg)
    for text in (picture.svg, picture.to_html(), picture.text):
        assert "\x1b" not in text
        assert "<b>" not in text.replace(picture.text, "")
    assert "<script>\\u" not in picture.to_html()
    assert picture.to_html().count("<script") == 1
    assert picture.text.count("\n") < 8


def test_a_large_profile_stays_a_small_picture() -> None:
    tree = Tree()
    for number in range(3000):
        at = Where(f"f{number % 60}", "a.py", number)
        tree.add([CLEAN, Where(f"g{number % 40}", "b.py", 1), at, NORM], 0.001, 1)
    picture = Profile("t", "s", tree.frames()).picture
    assert len(picture.to_html()) < 300_000
    assert "too small to be drawn" in picture.svg
