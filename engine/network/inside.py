"""Runs a command in a sandbox that has no network, with one way out: 127.0.0.1 there leads to the engine's proxy.

A program of its own: `python -I -S inside.py SOCKET PASS PORTS COMMAND...`. What connects to its own port is a client
of a proxy, which `HTTP_PROXY` and the like name; what connects to one of PORTS (`8000,9000`) is led to that port of the
machine's own. It says so on a line of its own in front of what it passes on. Only the standard library, and little of
it: every sandboxed attempt starts one.
"""

from __future__ import annotations

import os
import socket
import sys
import threading

PROXY_PORT = 3128  #: nobody else listens in a network that is the attempt's own
READ_BYTES = 1 << 16
MOST = 256  #: connections at once
TRY_SECONDS = 0.2  #: between two tries to reach an engine that is away
TRIES = 25  #: as its restart takes


def main(arguments: list[str]) -> None:
    """Listen, leave a process behind that serves, and become the command."""
    path, word, ports, *command = arguments
    wanted = [int(port) for port in ports.split(",") if port]
    listeners = [(_listener(PROXY_PORT), f"{word} proxy\n"), *((_listener(n), f"{word} port {n}\n") for n in wanted)]
    # Twice, so that the command is not the parent of what it has not started: the sandbox's first process is.
    if (child := os.fork()) == 0:
        if os.fork() == 0:
            _serve(path, listeners)
        os._exit(0)
    os.waitpid(child, 0)
    for listener, _ in listeners:
        listener.close()
    proxy = f"http://127.0.0.1:{PROXY_PORT}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        os.environ[name] = os.environ[name.lower()] = proxy
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "localhost,127.0.0.1,::1"
    os.environ["NODE_USE_ENV_PROXY"] = "1"  # Node's own fetch asks for no proxy otherwise, from 22.21 and 24.5
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        os._exit(127)


def _listener(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(128)
    return listener


def _serve(path: str, listeners: list[tuple[socket.socket, str]]) -> None:
    """For as long as the sandbox lives: it ends with its first process."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    room = threading.BoundedSemaphore(MOST)
    for listener, line in listeners[1:]:
        threading.Thread(target=_accept, args=(path, listener, line, room), daemon=True).start()
    _accept(path, *listeners[0], room)


def _accept(path: str, listener: socket.socket, line: str, room: threading.BoundedSemaphore) -> None:
    while True:
        room.acquire()
        client, _ = listener.accept()
        threading.Thread(target=_carry, args=(path, client, line, room), daemon=True).start()


def _carry(path: str, client: socket.socket, line: str, room: threading.BoundedSemaphore) -> None:
    try:
        with client, _engine(path) as engine:
            engine.sendall(line.encode())
            back = threading.Thread(target=_copy, args=(engine, client), daemon=True)
            back.start()
            _copy(client, engine)
            back.join()
    except OSError:
        pass
    finally:
        room.release()


def _engine(path: str) -> socket.socket:
    """A connection to the engine, by way of its directory: a UNIX socket's address is at most 107 bytes long."""
    folder, name = os.path.split(path)
    for number in range(TRIES):
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        engine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            engine.connect(f"/proc/self/fd/{fd}/{name}")
        except OSError:
            engine.close()
            if number == TRIES - 1:
                raise
            threading.Event().wait(TRY_SECONDS)
        else:
            return engine
        finally:
            os.close(fd)
    raise OSError


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """All that comes, until it ends; then the other side is told so."""
    try:
        while data := source.recv(READ_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for one in (source, sink):
            try:  # noqa: SIM105 - contextlib is one more module to load
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


if __name__ == "__main__":
    main(sys.argv[1:])
