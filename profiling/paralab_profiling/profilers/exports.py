"""A profile in other programs' formats: speedscope, collapsed stacks, pstats, pyinstrument.

Sources: https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources (its file format
schema), https://github.com/brendangregg/FlameGraph (one line a path), and Lib/pstats.py for what
``marshal`` reads: ``{(file, line, name): (primitive, calls, own, total, {caller: the same})}``.
"""

from __future__ import annotations

import gzip
import json
import marshal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paralab.shown_text import shown_name
from paralab_profiling.picture import save_result
from paralab_profiling.profilers.to_pyinstrument import to_page, to_session
from paralab_profiling.profilers.tree import Frame
from paralab_profiling.profilers.words import title

if TYPE_CHECKING:
    from paralab_profiling.profilers.result import Profile

_SPEEDSCOPE_UNITS = {"s": "seconds", "samples": "none", "bytes": "bytes"}


def save(profile: Profile, path: Path) -> Path:
    """Writes a profile by the ending of the file's name; see ``Profile.save``."""
    name = path.name
    if name.endswith(".speedscope.json"):
        path.write_text(json.dumps(to_speedscope(profile)), encoding="utf-8")
    elif name.endswith(".json"):
        path.write_text(json.dumps(profile.to_dict(), separators=(",", ":")), encoding="utf-8")
    elif name.endswith(".json.gz"):
        path.write_bytes(gzip.compress(json.dumps(profile.to_dict()).encode()))
    elif name.endswith(".collapsed"):
        path.write_text(to_collapsed(profile), encoding="utf-8")
    elif name.endswith(".prof"):
        path.write_bytes(to_pstats(profile))
    elif name.endswith(".pyinstrument.html"):
        path.write_text(to_page(profile), encoding="utf-8")
    elif name.endswith(".pyisession"):
        path.write_text(to_session(profile), encoding="utf-8")
    elif name.endswith((".html", ".svg")):
        save_result(path, {}, [profile.picture])
    else:
        raise ValueError(
            "save() writes .json, .json.gz, .html, .svg, .speedscope.json, .collapsed, .prof, "
            f".pyinstrument.html or .pyisession, not {name!r}."
        )
    return path


def to_collapsed(profile: Profile) -> str:
    """One line a path; seconds as microseconds, since the format has whole numbers only."""
    factor = 1e6 if profile.unit == "s" else 1.0
    lines = []
    for path in _paths(profile.roots, ()):
        amount = round(path[-1].own * factor)
        if amount > 0:
            words = (shown_name(each.name).replace(";", ":") for each in path)
            lines.append(f"{';'.join(words)} {amount}\n")
    return "".join(lines)


def to_speedscope(profile: Profile) -> dict[str, Any]:
    """A "sampled" profile, each path one sample whose weight is what it took."""
    frames: dict[tuple[str, str, int], int] = {}
    samples: list[list[int]] = []
    weights: list[float] = []
    for path in _paths(profile.roots, ()):
        if path[-1].own <= 0:
            continue
        keys = [(each.name, each.file, each.line) for each in path]
        samples.append([frames.setdefault(key, len(frames)) for key in keys])
        weights.append(path[-1].own)
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": "paralab",
        "name": title(profile),
        "activeProfileIndex": 0,
        "shared": {
            "frames": [
                {"name": shown_name(name), "file": shown_name(file)}
                | ({"line": line} if line else {})
                for name, file, line in frames
            ]
        },
        "profiles": [
            {
                "type": "sampled",
                "name": f"{profile.tool}, all tasks",
                "unit": _SPEEDSCOPE_UNITS[profile.unit],
                "startValue": 0,
                "endValue": sum(weights),
                "samples": samples,
                "weights": weights,
            }
        ],
    }


def to_pstats(profile: Profile) -> bytes:
    """What ``pstats.Stats`` and SnakeViz read.

    Raises:
        ValueError: the tool does not count calls.
    """
    if not profile.functions:
        raise ValueError(
            f"{profile.tool} does not count calls, so there is nothing for a .prof file; profile "
            "with tool='cprofile', or save .speedscope.json."
        )
    keys = [(each.file or "~", each.line, each.name) for each in profile.functions]
    stats = {}
    for key, each in zip(keys, profile.functions, strict=True):
        callers = {
            keys[caller]: (calls, primitive, own, total)
            for caller, calls, primitive, own, total in each.callers
        }
        stats[key] = (each.primitive, each.calls, each.own, each.total, callers)
    return marshal.dumps(stats)


def _paths(frames: tuple[Frame, ...], above: tuple[Frame, ...]) -> Iterator[tuple[Frame, ...]]:
    for frame in frames:
        path = (*above, frame)
        yield path
        yield from _paths(frame.children, path)
