"""How long a test waits for something that takes a known time on a machine with nothing else to do.

Where several have work for a processor, each gets its share of it: what takes a second alone takes
as many seconds as there are others.  A limit in seconds that ignores that is a test of the machine.
"""

from __future__ import annotations

import os


def patient(seconds: float) -> float:
    """The limit that is ``seconds`` on an idle machine, for this one as it is now."""
    waiting_for_a_processor = os.getloadavg()[0] / (os.cpu_count() or 1)
    return seconds * (1 + 2 * waiting_for_a_processor)
