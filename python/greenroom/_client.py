"""The client: one process of ``greenroom serve``, and the calls to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Callable

from ._changes import (
    Change,
    CreateDirectory,
    Delete,
    Edit,
    Rename,
    Selector,
    SetMode,
    Symlink,
    Write,
    WriteFrom,
    selectors_of,
)
from ._errors import Disconnected, GreenroomError, Limit, error_of
from ._text import PathArgument, content_of, escape_path
from ._types import (
    Applied,
    ApplyStatus,
    ClosedSession,
    Event,
    File,
    Patch,
    Proposed,
    Recovered,
    Redone,
    ServerInfo,
    SessionInfo,
    ShownDiff,
    ShownPatch,
    Status,
    Undone,
    patches_of,
)

PROTOCOL = 1
"""The version of the protocol that this package speaks."""

_PAGE = 256

_json_of = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Result = dict[str, Any]


def find_binary() -> str:
    """The ``greenroom`` command: ``$GREENROOM_BIN``, else beside this package, else on the PATH.

    Raises FileNotFoundError where there is none.
    """
    named = os.environ.get("GREENROOM_BIN")
    if named:
        return named
    name = "greenroom.exe" if sys.platform == "win32" else "greenroom"
    beside = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", name)
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which("greenroom")
    if found is None:
        message = "there is no `greenroom` command: install it, or set GREENROOM_BIN to its path"
        raise FileNotFoundError(message)
    return found


class Greenroom:
    """One workspace under Greenroom. Use it in a ``with`` statement, or `close` it.

    Calls raise a `GreenroomError` of the kind that the server answers, and `Disconnected` when the
    server has ended. Without ``ids``, or with exceptions only, a call means everything pending. Ids are
    patches (``p1``), sessions (``s1``), sessions' labels, paths (`Under`) and exceptions (`Except`).
    """

    def __init__(
        self,
        workspace: str | os.PathLike[str] | None = None,
        *,
        state_dir: str | os.PathLike[str] | None = None,
        binary: str | os.PathLike[str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Starts the server over the workspace, by default the one that the command finds.

        ``state_dir`` is where the states of all workspaces are, ``env`` the server's environment
        instead of this process's. What the server remarks goes to this process's standard error.

        Raises `GreenroomError` where the workspace or the state cannot be used, and FileNotFoundError
        where there is no command.
        """
        arguments = [os.fspath(binary) if binary is not None else find_binary(), "--json"]
        if workspace is not None:
            arguments += ["--workspace", os.fspath(workspace)]
        if state_dir is not None:
            arguments += ["--state-dir", os.fspath(state_dir)]
        # Its own session: a Ctrl-C of the user is for this process, which may still need the server.
        self._process = subprocess.Popen(
            [*arguments, "serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=None if env is None else dict(env),
            start_new_session=True,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input = self._process.stdin.fileno()
        self._output = self._process.stdout
        self._line_bytes_max = 64 << 20
        # One line after the other; held while the pipe is full.
        self._write_lock = threading.Lock()
        # Of everything below.
        self._lock = threading.Lock()
        self._last_id = 0
        self._waiting: dict[int, Callable[[Result], None]] = {}
        self._subscriptions: dict[int, Events] = {}
        self._failure: GreenroomError | None = None
        self._reader = threading.Thread(target=self._read, name="greenroom", daemon=True)
        self._reader.start()
        try:
            self.info = ServerInfo.from_json(self.call("hello"))
            """What the server is."""
            if self.info.protocol != PROTOCOL:
                message = f"the command speaks protocol {self.info.protocol}, not {PROTOCOL}"
                raise GreenroomError(f"{message}: install the package and the command together")
        except BaseException:
            self.close()
            raise
        self._line_bytes_max = self.info.line_bytes_max

    def __enter__(self) -> Greenroom:
        """The same object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

    def close(self) -> None:
        """Ends the server, once it has answered what was asked. Sessions stay open with what is pending
        in them. Closing twice does nothing more."""
        with self._write_lock:
            assert self._process.stdin is not None
            self._process.stdin.close()
        if threading.current_thread() is not self._reader:
            self._reader.join()
        self._process.wait()
        self._output.close()

    # Calls

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Result:
        """Calls a method of the protocol, and returns its result.

        Raises TimeoutError after ``timeout`` seconds; what was asked is done all the same.
        """
        done = threading.Lock()
        done.acquire()
        answers: list[Result] = []

        def take(answer: Result) -> None:
            answers.append(answer)
            done.release()

        self._send(method, params, take)
        if not done.acquire(timeout=-1 if timeout is None else max(timeout, 0)):
            raise TimeoutError(f"`{method}` was not answered in {timeout} s")
        return _result_of(answers[0], self._failure)

    def submit(self, method: str, params: Mapping[str, Any] | None = None) -> Future[Result]:
        """Calls a method of the protocol without waiting. The calls of one session are answered in the
        order in which they were submitted.

        In a coroutine: ``await asyncio.wrap_future(greenroom.submit(…))``.
        """
        future: Future[Result] = Future()
        # It cannot be cancelled: the call is on its way.
        future.set_running_or_notify_cancel()

        def take(answer: Result) -> None:
            try:
                future.set_result(_result_of(answer, self._failure))
            except GreenroomError as error:
                future.set_exception(error)

        self._send(method, params, take)
        return future

    def _send(
        self,
        method: str,
        params: Mapping[str, Any] | None,
        take: Callable[[Result], None],
    ) -> None:
        with self._lock:
            self._last_id += 1
            number = self._last_id
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method}
        if params is not None:
            message["params"] = params
        # A text that UTF-8 cannot express is an error here, and not a line that nobody can read.
        line = _json_of(message).encode() + b"\n"
        if len(line) > self._line_bytes_max:
            raise Limit(f"the call is longer than {self._line_bytes_max} bytes: send less at once")
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._waiting[number] = take
        try:
            with self._write_lock:
                self._write(line)
        except (OSError, ValueError):
            # The reader answers it, unless this took it away first.
            with self._lock:
                taken = self._waiting.pop(number, None)
            if taken is not None:
                raise self._failure or Disconnected("the server has ended") from None

    def _write(self, line: bytes) -> None:
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            raise ValueError("closed")
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._input, rest) :]

    def _read(self) -> None:
        failure: GreenroomError | None = None
        try:
            for line in self._output:
                message = json.loads(line)
                if "method" in message:
                    self._deliver(message["params"])
                elif message.get("id") is not None:
                    self._answer(message)
                else:
                    # The server could not start, or could not read a line.
                    failure = error_of(message["error"])
                    break
        except (OSError, ValueError) as error:
            failure = Disconnected(f"the server's answer cannot be read: {error}")
        with self._lock:
            self._failure = failure or Disconnected("the server has ended")
            waiting, self._waiting = list(self._waiting.values()), {}
            subscriptions, self._subscriptions = list(self._subscriptions.values()), {}
        for take in waiting:
            take({})
        for events in subscriptions:
            events._end()
        # Nobody else reads, and a server that still writes must not wait for it.
        for _ in self._output:
            pass

    def _answer(self, message: Result) -> None:
        with self._lock:
            take = self._waiting.pop(message["id"], None)
        if take is not None:
            take(message)

    def _deliver(self, params: Result) -> None:
        with self._lock:
            events = self._subscriptions.get(params["subscription"])
        if events is not None:
            events._add(Event.from_json(params["event"], params.get("diff")))

    # Sessions

    def open_session(self, session: str) -> Session:
        """Opens the session of a label, or finds it open; or finds an open one by its id.

        Raises `Usage` where the label is not allowed, and `NotFound` or `Closed` for an id.
        """
        answered = self.call("open_session", {"session": session})
        return Session(self, SessionInfo.from_json(answered["session"]))

    def sessions(self) -> tuple[SessionInfo, ...]:
        """Every session, ended ones too."""
        answered = self.call("sessions")
        return tuple(SessionInfo.from_json(session) for session in answered["sessions"])

    # Review

    def status(self) -> Status:
        """Everything that is pending, by session, with the signatures that approve it."""
        return Status.from_json(self.call("status"))

    def diff(self, *ids: Selector, context_lines: int = 3) -> ShownDiff:
        """Pending patches as one diff, and the signature that approves them.

        Raises `Closed` when a patch was decided meanwhile.
        """
        return self._diff({"ids": selectors_of(ids), "context_lines": context_lines})

    def _diff(self, params: Mapping[str, Any]) -> ShownDiff:
        return ShownDiff.from_json(self.call("diff", params))

    def show(self, patch: str) -> ShownPatch:
        """One patch in full, in any state. Raises `NotFound`."""
        return ShownPatch.from_json(self.call("show", {"patch": patch}))

    # Decisions

    def apply(
        self,
        *ids: Selector,
        expect: str | None = None,
        confirm_full_replace: bool = False,
        rest: bool = False,
        dry_run: bool = False,
        request: str | None = None,
        timeout: float | None = None,
    ) -> Applied:
        """Applies patches together, all or none; on return they are on the disk, durably.

        ``expect`` is the signature that was approved. ``rest`` applies what is left of a set of which
        patches are stale or expired. ``request`` names the apply for `apply_status`; of calls with one
        name only one applies. After ``timeout`` seconds TimeoutError is raised, and an apply that has
        begun is finished all the same.

        Raises `SignatureMismatch`, `Stale`, `ConfirmationMissing`, `Conflict`, `NotFound`, `Closed`,
        `Busy`, `Damaged`, `InDoubt`; `Refused` in the environment of an agent, unless the user's
        configuration has ``allow_yes_under_agents``.
        """
        params: dict[str, Any] = {"ids": selectors_of(ids), "expect": expect, "request": request}
        params.update(confirm_full_replace=confirm_full_replace, rest=rest, dry_run=dry_run)
        return self._apply(params, timeout)

    def _apply(self, params: Mapping[str, Any], timeout: float | None) -> Applied:
        return Applied.from_json(self.call("apply", params, timeout=timeout))

    def apply_status(self, request: str) -> ApplyStatus | None:
        """The status of the apply of this name; None while none of that name has begun."""
        status = self.call("apply_status", {"request": request})["status"]
        return None if status is None else ApplyStatus.from_json(status)

    def discard(self, *ids: Selector, reason: str | None = None) -> tuple[Patch, ...]:
        """Rejects pending patches, and dismisses stale and expired ones. The agent is given the reason.

        Raises `Closed`, `NotFound`, `Busy`.
        """
        return self._discard({"ids": selectors_of(ids), "reason": reason})

    def _discard(self, params: Mapping[str, Any]) -> tuple[Patch, ...]:
        return patches_of(self.call("discard", params)["patches"])

    def refresh(self, *ids: Selector) -> Proposed:
        """Proposes stale, expired or rejected patches again, merged with what their files are now.

        Raises `Conflict` where the user has changed the same lines, `Closed`, `NotFound`.
        """
        return Proposed.from_json(self.call("refresh", {"ids": selectors_of(ids)}))

    def undo(self, apply: str | None = None) -> Undone:
        """Undoes an applied set, by default the newest one; its patches are pending again.

        Raises `Stale` where a file has changed since, `NotFound`, `Closed`; `Refused` as `apply`.
        """
        return Undone.from_json(self.call("undo", {"apply": apply}))

    def redo(self, apply: str | None = None, *, expect: str | None = None) -> Redone:
        """Applies an undone set again, by default the one that was undone last. Raises as `apply`."""
        return Redone.from_json(self.call("redo", {"apply": apply, "expect": expect}))

    def recover(self) -> Recovered:
        """Finishes or rolls back the applies of dead processes. Raises `InDoubt`."""
        return Recovered.from_json(self.call("recover"))

    # Events

    def events(self, since: int | None = None, *, diffs: bool = False, waiting_max: int = 1024) -> Events:
        """Every event of every process, each once and in the order of the log: from the entry after
        ``since``, or from now on.

        At most ``waiting_max`` events wait in memory; who takes them more slowly gets the others from
        the log, without their diffs.
        """
        events = Events(self, waiting_max)
        params: dict[str, Any] = {"since": since, "diffs": diffs}
        subscribed: Future[Result] = Future()

        def take(answer: Result) -> None:
            # In the thread that reads, before it reads the first event.
            try:
                result = _result_of(answer, self._failure)
                events._begin(result["subscription"], result["since"])
                with self._lock:
                    self._subscriptions[result["subscription"]] = events
                subscribed.set_result(result)
            except GreenroomError as error:
                subscribed.set_exception(error)

        self._send("subscribe", params, take)
        subscribed.result()
        return events

    def events_since(self, since: int, limit: int = _PAGE) -> tuple[Event, ...]:
        """Entries of the log after this one, at most so many, and at most 1000."""
        answered = self.call("events", {"since": since, "limit": limit})
        return tuple(Event.from_json(event) for event in answered["events"])

    def _unsubscribe(self, subscription: int) -> None:
        with self._lock:
            known = self._subscriptions.pop(subscription, None)
            if known is None or self._failure is not None:
                return
        self.call("unsubscribe", {"subscription": subscription})


def _result_of(answer: Result, failure: GreenroomError | None) -> Result:
    if "result" in answer:
        result: Result = answer["result"]
        return result
    if "error" in answer:
        raise error_of(answer["error"])
    raise failure or Disconnected("the server has ended")


class Session:
    """A session of one agent. Its calls are answered in the order in which they were made.

    Proposing raises `Stale` where a ``base`` is given and the file has another content, `Refused` for a
    path or mode that is not allowed, `Conflict`, `Limit`, `NotFound`, and `Closed` once the session has
    ended. Then nothing is staged.
    """

    def __init__(self, greenroom: Greenroom, info: SessionInfo) -> None:
        """A session that the server has opened. Call `Greenroom.open_session` instead."""
        self.greenroom = greenroom
        self.info = info
        """The session as it was opened."""

    @property
    def id(self) -> str:
        """Its id, such as ``s1``."""
        return self.info.id

    @property
    def label(self) -> str:
        """Its label."""
        return self.info.label

    def __repr__(self) -> str:
        """Its id and label."""
        return f"<Session {self.id} {self.label!r}>"

    # Proposals

    def propose(self, changes: Iterable[Change]) -> Proposed:
        """Proposes changes, all or none. Each sees those before it."""
        proposals = [change.to_json() for change in changes]
        answered = self.greenroom.call("propose", {"session": self.id, "proposals": proposals})
        return Proposed.from_json(answered)

    def write(
        self,
        path: PathArgument,
        content: str | bytes,
        *,
        mode: int | None = None,
        base: str | None = None,
    ) -> Proposed:
        """Proposes new content for a file, whole."""
        return self.propose([Write(path, content, mode, base)])

    def write_from(
        self,
        path: PathArgument,
        file: str | os.PathLike[str],
        *,
        mode: int | None = None,
        base: str | None = None,
    ) -> Proposed:
        """Proposes the content of a file outside of the workspace, which the server streams. For what
        is too large for memory."""
        return self.propose([WriteFrom(path, file, mode, base)])

    def edit(
        self,
        path: PathArgument,
        old: str | bytes,
        new: str | bytes,
        *,
        replace_all: bool = False,
        base: str | None = None,
    ) -> Proposed:
        """Proposes to replace a text. Raises `NoMatch` unless it occurs exactly once, or all are meant."""
        return self.propose([Edit(path, old, new, replace_all, base)])

    def delete(self, path: PathArgument, *, base: str | None = None) -> Proposed:
        """Proposes to delete a file, a symbolic link itself, or an empty directory."""
        return self.propose([Delete(path, base)])

    def rename(self, path: PathArgument, to: PathArgument, *, base: str | None = None) -> Proposed:
        """Proposes to move a file to where none is."""
        return self.propose([Rename(path, to, base)])

    def set_mode(self, path: PathArgument, mode: int, *, base: str | None = None) -> Proposed:
        """Proposes permission bits, such as ``0o755``."""
        return self.propose([SetMode(path, mode, base)])

    def symlink(self, path: PathArgument, target: str | bytes, *, base: str | None = None) -> Proposed:
        """Proposes a symbolic link with exactly this target."""
        return self.propose([Symlink(path, target, base)])

    def create_directory(self, path: PathArgument) -> Proposed:
        """Proposes a directory, and those above it."""
        return self.propose([CreateDirectory(path)])

    def patch(
        self,
        patch: str | bytes,
        *,
        directory: PathArgument | None = None,
        bases: Mapping[str, str] | None = None,
    ) -> Proposed:
        """Proposes a unified diff, a git diff or a ``*** Begin Patch``, all of it or nothing.

        ``bases`` has the digests that files must have. Raises `NoMatch` where a part does not fit.
        """
        params: dict[str, Any] = {"session": self.id, "patch": content_of(patch)}
        if directory is not None:
            params["directory"] = escape_path(directory)
        if bases:
            params["bases"] = {escape_path(path): base for path, base in bases.items()}
        return Proposed.from_json(self.greenroom.call("propose_patch", params))

    def read(self, path: PathArgument) -> File:
        """A file as the session sees it: its pending patches over the disk.

        Raises `NotFound` where it sees none, `Refused`, `Limit` over 64 MiB.
        """
        params = {"session": self.id, "path": escape_path(path)}
        return File.from_json(self.greenroom.call("read", params))

    # Review and decisions, of this session's patches where none are named

    def diff(self, *ids: Selector, context_lines: int = 3) -> ShownDiff:
        """As `Greenroom.diff`, of this session's patches by default."""
        params = {"session": self.id, "ids": selectors_of(ids), "context_lines": context_lines}
        return self.greenroom._diff(params)

    def apply(
        self,
        *ids: Selector,
        expect: str | None = None,
        confirm_full_replace: bool = False,
        rest: bool = False,
        dry_run: bool = False,
        request: str | None = None,
        timeout: float | None = None,
    ) -> Applied:
        """As `Greenroom.apply`, of this session's patches by default."""
        params: dict[str, Any] = {"session": self.id, "ids": selectors_of(ids), "expect": expect}
        params.update(confirm_full_replace=confirm_full_replace, rest=rest, dry_run=dry_run)
        return self.greenroom._apply({**params, "request": request}, timeout)

    def discard(self, *ids: Selector, reason: str | None = None) -> tuple[Patch, ...]:
        """As `Greenroom.discard`, of this session's patches by default."""
        return self.greenroom._discard({"session": self.id, "ids": selectors_of(ids), "reason": reason})

    def refresh(self, *ids: Selector) -> Proposed:
        """As `Greenroom.refresh`, of this session's patches by default."""
        answered = self.greenroom.call("refresh", {"session": self.id, "ids": selectors_of(ids)})
        return Proposed.from_json(answered)

    def close(self, *, reason: str | None = None, expect: str | None = None) -> ClosedSession:
        """Ends the session: its pending patches are rejected, its stale and expired ones dismissed.

        ``expect`` is the signature that its pending patches must have. Raises `SignatureMismatch`, and
        `Busy` while one of them is being applied.
        """
        params = {"session": self.id, "reason": reason, "expect": expect}
        return ClosedSession.from_json(self.greenroom.call("close_session", params))


class Events:
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
        self._subscription: int | None = None
        self.position = 0
        """The entry of the log that was taken last, from which another subscription can go on."""

    def __enter__(self) -> Events:
        """The same object."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Closes it."""
        self.close()

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
        raises TimeoutError then."""
        while True:
            with self._changed:
                has_news = self._changed.wait_for(self._has_news, timeout)
                if not has_news:
                    raise TimeoutError(f"no event came in {timeout} s")
                while self._waiting and self._waiting[0].seq <= self.position:
                    self._waiting.popleft()
                if self._waiting and self._waiting[0].seq == self.position + 1:
                    self.position += 1
                    return self._waiting.popleft()
                if not self._waiting and not self._has_lost:
                    if self._has_ended:
                        return None
                    continue
                self._has_lost = False
            self._read_log()

    def close(self) -> None:
        """Ends the subscription. Closing twice does nothing more."""
        if self._subscription is not None:
            self._greenroom._unsubscribe(self._subscription)
        self._end()

    def _has_news(self) -> bool:
        return bool(self._waiting) or self._has_lost or self._has_ended

    def _read_log(self) -> None:
        """Puts what is missing before the events that wait."""
        page = self._greenroom.events_since(self.position, _PAGE)
        with self._changed:
            first = self._waiting[0].seq if self._waiting else None
            missing = [event for event in page if first is None or event.seq < first]
            self._waiting.extendleft(reversed(missing))
            # A full page may not be all that is missing.
            self._has_lost = self._has_lost or len(page) == _PAGE

    def _begin(self, subscription: int, since: int) -> None:
        self._subscription, self.position = subscription, since

    def _add(self, event: Event) -> None:
        with self._changed:
            if len(self._waiting) >= self._waiting_max:
                self._has_lost = True
            else:
                self._waiting.append(event)
            self._changed.notify()

    def _end(self) -> None:
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()
