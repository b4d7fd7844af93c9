"""The five time stamps that ride in a worker's reply, as bytes.

``received``, ``taken``, ``loaded``, ``ended`` and ``stored``, in ns on the machine's monotonic
clock; see ``state.events``.  As bytes they cost a third of what five ints cost to send and to
keep, and they are taken apart only when somebody looks.
"""

from __future__ import annotations

import struct

_STAMPS = struct.Struct("<5q")
pack, unpack = _STAMPS.pack, _STAMPS.unpack
NONE = bytes(_STAMPS.size)
"""Of a call that no worker has answered."""
run_of = struct.Struct("<16x2q8x").unpack
"""``loaded`` and ``ended`` alone: when the function ran."""
