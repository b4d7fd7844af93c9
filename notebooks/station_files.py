"""Daily weather of made-up stations, in the format of GSOD, the Global Surface Summary of the Day.

The format is real (NOAA's readme.txt of GSOD): one file for each station and year, all fields in
quotes, temperatures in °F, wind in knots, rain in inches, and a missing value is a number of nines.
The weather is not: it comes from random numbers with fixed seeds, so it is the same everywhere.
"""

from __future__ import annotations

import csv
import math
import random
from datetime import date, timedelta
from pathlib import Path

_COLUMNS = (
    "STATION DATE LATITUDE LONGITUDE ELEVATION NAME TEMP TEMP_ATTRIBUTES DEWP DEWP_ATTRIBUTES SLP "
    "SLP_ATTRIBUTES STP STP_ATTRIBUTES VISIB VISIB_ATTRIBUTES WDSP WDSP_ATTRIBUTES MXSPD GUST MAX "
    "MAX_ATTRIBUTES MIN MIN_ATTRIBUTES PRCP PRCP_ATTRIBUTES SNDP FRSHTT"
)
COLUMNS = _COLUMNS.split()
"""28, in the order of the format."""
STATIONS = {
    # name: latitude, longitude, elevation in m, mean and swing of the year in °F, wind in knots
    "HARBOUR": (54.1, 13.4, 3.0, 49.0, 14.0, 11.0),
    "HILL TOP": (50.4, 12.9, 1213.0, 40.0, 17.0, 14.0),
    "OLD MILL": (48.1, 11.6, 515.0, 50.0, 19.0, 6.0),
    "DRY PLAIN": (39.5, -4.1, 610.0, 61.0, 21.0, 5.0),
    "ISLAND": (37.7, -25.7, 71.0, 64.0, 7.0, 10.0),
    "NORTH CAPE": (70.9, 25.8, 13.0, 37.0, 13.0, 13.0),
}
YEARS = (2023, 2024)


def write_stations(folder: Path) -> dict[str, list[Path]]:
    """Writes a file for each station and year.

    Args:
        folder: where they go; it exists.

    Returns:
        The paths of each station's files, by its name.
    """
    found: dict[str, list[Path]] = {}
    for number, name in enumerate(STATIONS, 1):
        for year in YEARS:
            path = folder / f"{year}-{_id(number)}.csv"
            with path.open("w", newline="", encoding="ascii") as file:
                writer = csv.writer(file, quoting=csv.QUOTE_ALL)
                writer.writerow(COLUMNS)
                writer.writerows(_year(number, name, year))
            found.setdefault(name, []).append(path)
    return found


def _id(number: int) -> str:
    return f"990001{number:05}"


def _year(number: int, name: str, year: int) -> list[list[str]]:
    rng = random.Random(f"{name} {year}")  # noqa: S311  # weather, no secret
    *place, mean, swing, wind = STATIONS[name]
    rows, drift, day = [], 0.0, date(year, 1, 1)
    while day.year == year:
        drift = 0.7 * drift + rng.gauss(0, 3)
        season = -math.cos(2 * math.pi * (day.timetuple().tm_yday - 20) / 365)
        rows.append(_day(rng, [_id(number), day.isoformat(), *map(str, place), f"{name}, XX"],
                         mean + swing * season + drift, wind))  # fmt: skip
        day += timedelta(days=1)
    return rows


def _day(rng: random.Random, place: list[str], temp: float, wind: float) -> list[str]:
    hours = str(rng.randrange(18, 25))
    rain = rng.random() < 0.35
    speed = max(0.5, rng.gauss(wind, wind / 3))
    most = speed + rng.uniform(2, 12)

    def shown(value: float, missing: str, share: float, form: str = ".1f") -> str:
        return missing if rng.random() < share else format(value, form)

    def with_hours(value: str) -> list[str]:
        return [value, " 0" if value.strip("9.") == "" else hours]

    high, low = temp + rng.uniform(5, 18), temp - rng.uniform(5, 14)
    return [
        *place,
        *with_hours(f"{temp:.1f}"),
        *with_hours(shown(temp - rng.uniform(3, 15), "9999.9", 0.01)),
        *with_hours(shown(rng.gauss(1015, 8), "9999.9", 0.05)),
        *with_hours(shown(rng.gauss(990, 8), "9999.9", 0.3)),
        *with_hours(shown(rng.uniform(2, 12), "999.9", 0.1)),
        *with_hours(shown(speed, "999.9", 0.01)),
        shown(most, "999.9", 0.02),
        shown(most + rng.uniform(4, 20), "999.9", 0.4),
        # A star: derived from the hourly values.
        *(shown(high, "9999.9", 0.02), rng.choice([" ", "*"])),
        *(shown(low, "9999.9", 0.02), rng.choice([" ", "*"])),
        *(shown(rng.expovariate(4) * rain, "99.99", 0.03, ".2f"), rng.choice("ADEG")),
        shown(rng.uniform(1, 9), "999.9", 0.0 if temp < 28 else 1.0),
        f"0{int(rain and temp > 32)}{int(rain and temp <= 32)}000",
    ]
