"""How fast the runtime is, next to what else there is on the same machine.

A figure alone says little: machines differ, and one machine differs from minute to minute.
So every row is measured on several *sides* (the bare socket, ``multiprocessing.Pool``, gRPC,
Ray, ...), the sides take turns within each run, and what counts is the ratio of two sides in
the same run::

    run.py ── for each run, row and side ──> side.py (a fresh interpreter)
      │                                        ├─ callers.py  Pool, executor, loky, gRPC, Dask
      │                                        │     └─ peers.py  other end of bare and gRPC
      │                                        └─ api.py     whatever has Ray's API: paralab, Ray
      └─> statistics.py (pure) ──> table.py (text) and JSON

``rows.py`` says what is measured and what must be reached, ``machine.py`` asks the system.
Each side is an interpreter of its own, so that a row that hangs, crashes or leaves processes
behind spoils no other.
"""
