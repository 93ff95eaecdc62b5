"""Futures whose callbacks may make calls."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Callable, TypeVar

_Answer = TypeVar("_Answer")


class Callbacks:
    """Runs callbacks, in the order in which their futures were done, in a thread of their own.

    The thread that reads answers must not run them: a callback that makes a call waits for an answer.
    """

    def __init__(self) -> None:
        """The thread is started with the first callback."""
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, callback: Callable[[], None]) -> None:
        """Runs a callback after those before it. One thread calls this."""
        self._queue.put(callback)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="greenroom callbacks", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Waits for all that were run, unless one of them calls this. Nothing is run after it."""
        thread = self._thread
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join()

    def _work(self) -> None:
        while True:
            callback = self._queue.get()
            if callback is None:
                # For another `close`, which waits too.
                self._queue.put(None)
                return
            callback()


class Answer(Future[_Answer]):
    """A future that is done by the thread which reads. Its callbacks may make calls themselves."""

    def __init__(self, callbacks: Callbacks, reader: threading.Thread) -> None:
        """Callbacks that the reader would run are run by `callbacks`."""
        super().__init__()
        self._outside = callbacks
        self._reader = reader
        # It cannot be cancelled: the call is on its way.
        self.set_running_or_notify_cancel()

    def add_done_callback(self, fn: Callable[[Future[_Answer]], Any]) -> None:
        """Calls a function with this future once it is done; at once if it is done already."""

        def run(future: Future[_Answer]) -> None:
            if threading.current_thread() is self._reader:
                self._outside.run(lambda: _call(fn, future))
            else:
                fn(future)

        super().add_done_callback(run)


def _call(fn: Callable[[Future[_Answer]], Any], future: Future[_Answer]) -> None:
    try:
        fn(future)
    except Exception:
        # As `concurrent.futures` does.
        logging.getLogger("greenroom").exception("exception calling callback for %r", future)
