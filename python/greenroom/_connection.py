"""The connection to one process of ``greenroom serve``: calls, answers and notifications."""

from __future__ import annotations

import copy
import json
import logging
import os
import select
import shutil
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Callable

from ._callbacks import Answer, Callbacks
from ._closing import Closing
from ._deadline import Deadline
from ._errors import Disconnected, GreenroomError, Limit, error_of

Result = dict[str, Any]

_WRITTEN_WHOLE = getattr(select, "PIPE_BUF", 512)
"""A line of at most so many bytes is written to a pipe whole or not at all."""

_END_SECONDS = 1.0
"""How long a server that has answered everything may take to see the end of its input."""

_json_of = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


def find_binary() -> str:
    """The ``greenroom`` command: ``$GREENROOM_BIN``, else what was installed with this package, else on
    the PATH.

    Raises FileNotFoundError where there is none.
    """
    named = os.environ.get("GREENROOM_BIN")
    if named:
        return named
    name = "greenroom.exe" if sys.platform == "win32" else "greenroom"
    package = os.path.dirname(os.path.abspath(__file__))
    # pip puts the command beside `python`, for a user into a folder of theirs, and with --target beside
    # the package. That folder may not be on the PATH, or an older command may be before it.
    folders = [os.path.join(package, "bin"), os.path.join(os.path.dirname(package), "bin")]
    for scheme in (None, f"{os.name}_user"):
        paths = sysconfig.get_paths() if scheme is None else sysconfig.get_paths(scheme)
        if package.startswith(os.path.join(paths["platlib"], "")):
            folders.append(paths["scripts"])
    for folder in folders:
        installed = os.path.join(folder, name)
        if os.access(installed, os.X_OK):
            return installed
    found = shutil.which("greenroom")
    if found is None:
        message = "there is no `greenroom` command: install it, or set GREENROOM_BIN to its path"
        raise FileNotFoundError(message)
    return found


class Connection(Closing):
    """One server, and everybody who waits for it.

    A thread reads. Whatever it finds, and if it fails, everybody who waits is answered.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        notified: Callable[[str, Result], None],
        ended: Callable[[], None],
    ) -> None:
        """Starts the server. `notified` is called with each notification and `ended` once after the
        last one, in the thread that reads."""
        # Its own session: a Ctrl-C of the user is for this process, which may still need the server.
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        self._input = self.process.stdin
        self._output = self.process.stdout
        if sys.platform != "win32":
            # Who has a time limit waits for the pipe no longer than for the answer.
            os.set_blocking(self._input.fileno(), False)
        self._pid = os.getpid()
        self._notified = notified
        self._ended = ended
        self.line_bytes_max = 64 << 20
        # One line after the other; held while the pipe is full.
        self._write_lock = threading.Lock()
        # Of everything below. It is notified when nothing is waited for, and at the end.
        self._changed = threading.Condition(threading.Lock())
        self._last_id = 0
        self._waiting: dict[int, Callable[[Result], None]] = {}
        self._failure: GreenroomError | None = None
        self._callbacks = Callbacks()
        self._reader = threading.Thread(target=self._read, name="greenroom", daemon=True)
        self._reader.start()

    def close(self) -> None:
        """Ends the server, once it has answered what was asked, and calls every callback. In a process
        that was forked from this one it only lets go of the server."""
        if os.getpid() != self._pid:
            self._input.close()
            return
        with self._write_lock:
            self._input.close()
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting or self._failure is not None)
        self._reader.join(_END_SECONDS)
        if self._reader.is_alive():
            # A process that was forked from this one holds its input open. Nothing is left to be answered.
            self.process.terminate()
            self._reader.join()
        self.process.wait()
        self._output.close()
        self._callbacks.close()

    # Calls

    def call(self, method: str, params: Mapping[str, Any] | None, timeout: float | None) -> Result:
        """Calls a method, and returns its result. As `Greenroom.call`."""
        deadline = Deadline(timeout)
        done = threading.Lock()
        done.acquire()
        answers: list[Result] = []

        def take(answer: Result) -> None:
            answers.append(answer)
            done.release()

        self.send(method, params, take, deadline)
        if not done.acquire(timeout=deadline.for_lock()):
            raise TimeoutError(f"`{method}` was not answered in {timeout} s")
        return self.result_of(answers[0])

    def submit(self, method: str, params: Mapping[str, Any] | None) -> Future[Result]:
        """Calls a method without waiting. As `Greenroom.submit`."""
        future: Answer[Result] = Answer(self._callbacks, self._reader)

        def take(answer: Result) -> None:
            try:
                result = self.result_of(answer)
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        self.send(method, params, take, Deadline(None))
        return future

    def result_of(self, answer: Result) -> Result:
        """The result in an answer, or the error that it is. An empty one is that of the end."""
        if "result" in answer:
            result: Result = answer["result"]
            return result
        if "error" in answer:
            raise error_of(answer["error"])
        raise self._end()

    def _end(self) -> GreenroomError:
        """Why the server has ended. A copy, because who raises it adds a traceback."""
        return copy.copy(self._failure) or Disconnected("the server has ended")

    def send(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        take: Callable[[Result], None],
        deadline: Deadline,
    ) -> None:
        """Sends a call. The reader gives the answer to `take`.

        Raises TimeoutError where nothing could be sent in time; then it is not done either.
        """
        if os.getpid() != self._pid:
            raise Disconnected("the server belongs to the process from which this one was forked")
        with self._changed:
            self._last_id += 1
            number = self._last_id
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            message["params"] = params
        # A text that UTF-8 cannot express is an error here, and not a line that nobody can read.
        line = _json_of(message).encode() + b"\n"
        if len(line) > self.line_bytes_max:
            raise Limit(f"the call is longer than {self.line_bytes_max} bytes: send less at once")
        with self._changed:
            if self._failure is not None:
                raise self._end()
            self._waiting[number] = take
        try:
            self._write(line, deadline)
        except (OSError, ValueError) as error:
            with self._changed:
                # The reader answers it, unless this takes it away first.
                is_unanswered = self._waiting.pop(number, None) is not None
                self._notify()
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"`{method}` could not be sent in time: it was not done") from None
            if is_unanswered:
                raise self._end() from None
        except BaseException:
            with self._changed:
                self._waiting.pop(number, None)
                self._notify()
            raise

    def _notify(self) -> None:
        if not self._waiting:
            self._changed.notify_all()

    # Writing

    def _write(self, line: bytes, deadline: Deadline) -> None:
        """Writes a line. What has begun in time is finished all the same, by another thread."""
        if not self._write_lock.acquire(timeout=deadline.for_lock()):
            raise TimeoutError
        is_handed_over = False
        try:
            rest = memoryview(line)
            while rest:
                try:
                    rest = rest[os.write(self._input.fileno(), rest) :]
                except BlockingIOError:
                    if self._has_room(deadline):
                        continue
                    if len(rest) == len(line):
                        raise TimeoutError from None
                    threading.Thread(target=self._finish, args=[rest], daemon=True).start()
                    is_handed_over = True
                    return
        except (OSError, ValueError):
            raise
        except BaseException:
            if len(line) > _WRITTEN_WHOLE:
                # Nobody knows how much of it is written, and the next line must not go on from there.
                self._input.close()
            raise
        finally:
            if not is_handed_over:
                self._write_lock.release()

    def _finish(self, rest: memoryview) -> None:
        """Writes the rest of a line, and gives the lock back."""
        try:
            while rest:
                try:
                    rest = rest[os.write(self._input.fileno(), rest) :]
                except BlockingIOError:
                    self._has_room(Deadline(None))
        except (OSError, ValueError):
            # The reader finds out as well.
            pass
        finally:
            self._write_lock.release()

    def _has_room(self, deadline: Deadline) -> bool:
        """Waits until the pipe takes something, or nobody reads it; whether it does in time."""
        poll = select.poll()
        poll.register(self._input.fileno(), select.POLLOUT)
        left = deadline.left()
        return bool(poll.poll(None if left is None else left * 1000))

    # Reading

    def _read(self) -> None:
        failure: GreenroomError | None = None
        try:
            for line in self._output:
                message = json.loads(line)
                if "method" in message:
                    self._notified(message["method"], message["params"])
                elif message.get("id") is not None:
                    self._answer(message)
                else:
                    # The server could not start, or could not read a line.
                    failure = error_of(message["error"])
                    break
        except Exception as error:
            failure = Disconnected(f"what the server sends cannot be read: {error!r}")
        finally:
            self._give_up(failure or Disconnected("the server has ended"))

    def _answer(self, message: Result) -> None:
        with self._changed:
            take = self._waiting.pop(message["id"], None)
            self._notify()
        if take is not None:
            take(message)

    def _give_up(self, failure: GreenroomError) -> None:
        """Answers everybody who waits, and reads what the server still writes, so that it can end."""
        with self._changed:
            self._failure = failure
            waiting, self._waiting = list(self._waiting.values()), {}
            self._changed.notify_all()
        for take in waiting:
            try:
                take({})
            except Exception:
                # The next one waits as well.
                logging.getLogger("greenroom").exception("a call cannot be answered")
        self._ended()
        try:
            for _ in self._output:
                pass
        except (OSError, ValueError):
            # It is closed.
            pass
