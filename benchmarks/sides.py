"""The things that are compared, each in a process of its own.

So each side has its own threads and its own memory, and an idle side costs nothing while another one is timed.
"""

import contextlib
import importlib
import os
import resource
import subprocess
import sys
import time
from multiprocessing.connection import Client, Listener


class Side:
    """A task that lives in another process.

    Args:
        task: `"module:class"`; the class is made there with `settings`, its methods are called by name.
        settings: keyword arguments of the class.
        environment: environment variables, set before anything is imported.
    """

    def __init__(self, task, settings=None, environment=None):
        self.task = task
        listener = Listener(("localhost", 0))
        variables = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | (environment or {})
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.address[1])], env=variables
        )
        self._connection = _accept(listener, self._process, task)
        self._ask(task, settings or {})

    def time(self, method="run", *args):
        """Seconds that one call takes there."""
        return self._ask("time", method, args)

    def call(self, method, *args):
        """What a call returns there; it must be possible to pickle it."""
        return self._ask("call", method, args)

    def peak_mib(self):
        """Highest resident memory of the process so far."""
        return self._ask("peak", None, ())

    def close(self):
        self._connection.close()
        self._process.wait()

    def _ask(self, *question):
        self._connection.send(question)
        try:
            failed, answer = self._connection.recv()
        except EOFError:
            raise RuntimeError(f"{self.task} died, exit status {self._process.wait()}.") from None
        if failed:
            raise RuntimeError(f"{self.task}: {answer}")
        return answer


def _accept(listener, process, task):
    listener._listener._socket.settimeout(1)
    with listener:
        while process.poll() is None:
            with contextlib.suppress(TimeoutError):
                return listener.accept()
    raise RuntimeError(f"{task} could not be started, exit status {process.returncode}.")


@contextlib.contextmanager
def sides(*makers):
    """Starts sides one after the other and closes all of them."""
    started = []
    try:
        for maker in makers:
            started.append(maker())
        yield started
    finally:
        for side in started:
            side.close()


def alternate(contestants, repeats, warm_up=2, method="run"):
    """Times the sides in turn: A B A B ...

    Args:
        contestants: the `Side`s.
        repeats: counted rounds.
        warm_up: rounds before, not counted: compiling, filling caches.

    Returns:
        a list of seconds a side.
    """
    for side in contestants:
        for _ in range(warm_up):
            side.time(method)
    rounds = [[side.time(method) for side in contestants] for _ in range(repeats)]
    return [list(times) for times in zip(*rounds, strict=True)]


def _serve(port):
    connection = Client(("localhost", port))
    try:
        task = _make(*connection.recv())
    except Exception as error:
        connection.send((True, f"{type(error).__name__}: {error}"))
        return
    connection.send((False, None))
    while True:
        try:
            question, method, args = connection.recv()
        except EOFError:
            return
        connection.send(_answer(task, question, method, args))


def _make(path, settings):
    module, name = path.split(":")
    return getattr(importlib.import_module(module), name)(**settings)


def _answer(task, question, method, args):
    if question == "peak":
        return False, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    try:
        began = time.perf_counter()
        result = getattr(task, method)(*args)
        seconds = time.perf_counter() - began
        return False, seconds if question == "time" else result
    except Exception as error:
        return True, f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
