"""The other end of the bare socket and of the gRPC echo, run by path in a fresh interpreter.

Imports nothing of paralab: "bare" means two Python processes, pickled tuples, a Unix socket
pair, and nothing else.  Each request is a tuple ``(number, function, args, kwargs)``, each
reply ``(number, result)``.

    one at a time   one pickle per send, blocking
    in flight       batches: 4 bytes length, then pickles end to end, in one send; this is a
                    runtime that batches its frames and keeps no books at all
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import sys
from collections.abc import Callable

LENGTH = 4
"""Bytes before a batch that hold its length."""


def serve_single(sock: socket.socket) -> None:
    """Answers requests that come one at a time, until the other end closes."""
    recv, send, loads, dumps = sock.recv, sock.send, pickle.loads, pickle.dumps
    while data := recv(65536):
        number, _function, _args, _kwargs = loads(data)
        send(dumps((number, None), 5))


def send_batch(sock: socket.socket, messages: list[tuple[object, ...]]) -> None:
    """Sends ``messages``, each pickled by itself, as one batch."""
    dumps = pickle.dumps
    payload = b"".join([dumps(message, 5) for message in messages])
    sock.sendall(len(payload).to_bytes(LENGTH, "big") + payload)


def batch_reader(sock: socket.socket) -> Callable[[], list[tuple[object, ...]]]:
    """A function that returns the messages of the next batch, none once the other end closed."""
    buffer = bytearray()

    def read() -> list[tuple[object, ...]]:
        while len(buffer) < LENGTH or len(buffer) < LENGTH + _size(buffer):
            data = sock.recv(1 << 18)
            if not data:
                return []
            buffer.extend(data)
        end = LENGTH + _size(buffer)
        stream = io.BytesIO(buffer[LENGTH:end])
        del buffer[:end]
        load, length = pickle.load, end - LENGTH
        messages = []
        while stream.tell() < length:
            messages.append(load(stream))
        return messages

    return read


def _size(buffer: bytearray) -> int:
    return int.from_bytes(buffer[:LENGTH], "big")


def serve_batches(sock: socket.socket) -> None:
    """Answers batches of requests with batches of replies, until the other end closes."""
    read = batch_reader(sock)
    while messages := read():
        send_batch(sock, [(number, None) for number, _function, _args, _kwargs in messages])


def serve_grpc(ready: int, address: str) -> None:
    """Echoes bytes at ``address`` over gRPC until standard input closes; writes to ``ready``."""
    from concurrent.futures import ThreadPoolExecutor

    import grpc

    handler = grpc.method_handlers_generic_handler(
        "Echo", {"Call": grpc.unary_unary_rpc_method_handler(lambda request, context: request)}
    )
    server = grpc.server(ThreadPoolExecutor(1), handlers=[handler])
    server.add_insecure_port(address)
    server.start()
    os.write(ready, b"1")
    sys.stdin.read()
    server.stop(None).wait()


if __name__ == "__main__":
    kind, descriptor = sys.argv[1], int(sys.argv[2])
    if kind == "grpc":
        serve_grpc(descriptor, sys.argv[3])
    else:
        serve = {"single": serve_single, "batches": serve_batches}[kind]
        serve(socket.socket(fileno=descriptor))
