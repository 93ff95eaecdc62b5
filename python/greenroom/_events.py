"""Events in the order of the log."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ._answers import Event
from ._closing import Closing
from ._deadline import Deadline
from ._errors import GreenroomError

if TYPE_CHECKING:
    from ._client import Greenroom

_PAGE = 256
"""How many entries of the log are read at once."""


class Events(Closing):
    """Events in the order of the log, as `Greenroom.events` begins them. One thread takes them, as an
    iterator that ends with `close` or with the server."""

    def __init__(self, greenroom: Greenroom, waiting_max: int) -> None:
        """Nothing is received before the server has answered."""
        self._greenroom = greenroom
        self._waiting_max = waiting_max
        self._changed = threading.Condition()
        self._waiting: deque[Event] = deque()
        self._has_lost = False
        self._has_ended = False
        self._failure: GreenroomError | None = None
        self._subscription: int | None = None
        self.position = 0
        """The entry of the log that was taken last, from which another subscription can go on."""

    def __iter__(self) -> Iterator[Event]:
        """The same object."""
        return self

    def __next__(self) -> Event:
        """The next event; waits for it."""
        event = self.get()
        if event is None:
            raise StopIteration
        return event

    def get(self, timeout: float | None = None) -> Event | None:
        """The next event; None once there is none any more. Waits for ``timeout`` seconds at most, and
        raises TimeoutError then.

        Raises the error for which the server has ended the subscription, and `Disconnected` where the
        server has ended and an event that did not fit into memory cannot be read from the log. Then
        another subscription can go on at `position`.
        """
        deadline = Deadline(timeout)
        while True:
            with self._changed:
                if not self._changed.wait_for(self._has_news, deadline.left()):
                    raise TimeoutError(f"no event came in {timeout} s")
                while self._waiting and self._waiting[0].seq <= self.position:
                    self._waiting.popleft()
                if self._waiting and self._waiting[0].seq == self.position + 1:
                    self.position += 1
                    return self._waiting.popleft()
                if not self._waiting and not self._has_lost:
                    if self._failure is not None:
                        raise self._failure
                    if self._has_ended:
                        return None
                    continue
                if self._has_ended and self._subscription is None:
                    # It was closed: who closes it wants no more than what has come.
                    return None
            self._read_log(deadline)

    def close(self) -> None:
        """Ends the subscription. Closing twice does nothing more."""
        subscription, self._subscription = self._subscription, None
        self._end()
        if subscription is not None:
            self._greenroom._unsubscribe(subscription)

    def _has_news(self) -> bool:
        return bool(self._waiting) or self._has_lost or self._has_ended

    def _read_log(self, deadline: Deadline) -> None:
        """Puts what is missing before the events that wait."""
        # Before it is read, so that what is lost meanwhile is read the next time.
        with self._changed:
            self._has_lost = False
        try:
            page = self._greenroom._events_since(self.position, _PAGE, deadline.left())
        except BaseException:
            with self._changed:
                self._has_lost = True
            raise
        with self._changed:
            first = self._waiting[0].seq if self._waiting else None
            missing = [event for event in page if first is None or event.seq < first]
            self._waiting.extendleft(reversed(missing))
            # A full page may not be all that is missing.
            self._has_lost = self._has_lost or len(page) == _PAGE

    # What the thread that reads calls

    def _begin(self, subscription: int, since: int) -> None:
        self._subscription, self.position = subscription, since

    def _add(self, event: Event) -> None:
        with self._changed:
            if len(self._waiting) >= self._waiting_max:
                self._has_lost = True
            else:
                self._waiting.append(event)
            self._changed.notify()

    def _end(self, failure: GreenroomError | None = None) -> None:
        with self._changed:
            self._has_ended = True
            self._failure = failure
            self._changed.notify_all()
