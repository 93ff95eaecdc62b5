"""The client: a workspace, and the decisions about it."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any

from ._answers import (
    Applied,
    ApplyRecord,
    ApplyStatus,
    Event,
    Proposed,
    Recovered,
    Redone,
    ServerInfo,
    ShownApply,
    ShownDiff,
    ShownPatch,
    Status,
    Undone,
)
from ._changes import Comment, Selector, selectors_of
from ._closing import Closing
from ._connection import Connection, Result, find_binary
from ._deadline import Deadline
from ._errors import Disconnected, GreenroomError, error_of
from ._events import Events
from ._session import Session
from ._types import Patch, SessionInfo, patches_of

PROTOCOL = 1
"""The version of the protocol that this package speaks."""


class Greenroom(Closing):
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
        command = [os.fspath(binary) if binary is not None else find_binary(), "--json"]
        if workspace is not None:
            command += ["--workspace", os.fspath(workspace)]
        if state_dir is not None:
            command += ["--state-dir", os.fspath(state_dir)]
        # Of the subscriptions.
        self._lock = threading.Lock()
        self._subscriptions: dict[int, Events] = {}
        self._connection = Connection([*command, "serve"], env, self._deliver, self._end)
        try:
            self.info = ServerInfo.from_json(self.call("hello"))
            """What the server is."""
            if self.info.protocol != PROTOCOL:
                message = f"the command speaks protocol {self.info.protocol}, not {PROTOCOL}"
                raise GreenroomError(f"{message}: install the package and the command together")
        except BaseException:
            self.close()
            raise
        self._connection.line_bytes_max = self.info.line_bytes_max

    def close(self) -> None:
        """Ends the server, once it has answered what was asked. Sessions stay open with what is pending
        in them. Closing twice does nothing more."""
        self._connection.close()

    # Calls

    def call(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        timeout: float | None = None,
    ) -> Result:
        """Calls a method of the protocol, and returns its result.

        Raises TimeoutError after ``timeout`` seconds. What was asked is done all the same, unless the
        message says that it could not be sent. An exception that interrupts the sending of a long call,
        such as KeyboardInterrupt, ends the server, since half a call must not reach it.
        """
        return self._connection.call(method, params, timeout)

    def submit(self, method: str, params: Mapping[str, Any] | None = None) -> Future[Result]:
        """Calls a method of the protocol without waiting. The calls of one session are answered in the
        order in which they were submitted. Callbacks of the future may call methods themselves.

        In a coroutine: ``await asyncio.wrap_future(greenroom.submit(…))``.
        """
        return self._connection.submit(method, params)

    def _deliver(self, method: str, params: Result) -> None:
        """Takes a notification, in the thread that reads."""
        if method == "event":
            with self._lock:
                events = self._subscriptions.get(params["subscription"])
            if events is not None:
                events._add(Event.from_json(params["event"], params.get("diff")))
        elif method == "subscription_ended":
            with self._lock:
                events = self._subscriptions.pop(params["subscription"], None)
            if events is not None:
                events._end(error_of(params["error"]))
        # A later server may have others.

    def _end(self) -> None:
        """The server has ended."""
        with self._lock:
            subscriptions, self._subscriptions = list(self._subscriptions.values()), {}
        for events in subscriptions:
            events._end()

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
        message: str | None = None,
        request: str | None = None,
        timeout: float | None = None,
    ) -> Applied:
        """Applies patches together, all or none; on return they are on the disk, durably.

        ``expect`` is the signature that was approved. ``rest`` applies what is left of a set of which
        patches are stale or expired. ``message`` are the reviewer's words, which are kept with the apply.
        ``request`` names the apply for `apply_status`; of calls with one name only one applies. After
        ``timeout`` seconds TimeoutError is raised, and an apply that has begun is finished all the same.

        Raises `SignatureMismatch`, `Stale`, `ConfirmationMissing`, `Conflict`, `NotFound`, `Closed`,
        `Busy`, `Damaged`, `InDoubt`; `Refused` in the environment of an agent, unless the user's
        configuration has ``allow_yes_under_agents``.
        """
        params: dict[str, Any] = {"ids": selectors_of(ids), "expect": expect, "request": request}
        params.update(confirm_full_replace=confirm_full_replace, rest=rest, dry_run=dry_run, message=message)
        return self._apply(params, timeout)

    def _apply(self, params: Mapping[str, Any], timeout: float | None) -> Applied:
        return Applied.from_json(self.call("apply", params, timeout=timeout))

    def apply_status(self, request: str) -> ApplyStatus | None:
        """The status of the apply of this name; None while none of that name has begun."""
        status = self.call("apply_status", {"request": request})["status"]
        return None if status is None else ApplyStatus.from_json(status)

    def applies(self, limit: int | None = None) -> tuple[ApplyRecord, ...]:
        """What was applied and undone, the newest first, or as many of the newest as ``limit``."""
        answered = self.call("applies", {"limit": limit})
        return tuple(ApplyRecord.from_json(apply) for apply in answered["applies"])

    def show_apply(self, apply: str) -> ShownApply:
        """One apply or undo in full. Raises `NotFound`."""
        return ShownApply.from_json(self.call("show_apply", {"apply": apply}))

    def discard(
        self, *ids: Selector, reason: str | None = None, comments: Iterable[Comment] = ()
    ) -> tuple[Patch, ...]:
        """Rejects pending patches, and dismisses stale and expired ones. The agent is given the reason,
        and the comments for single lines of what the patches stage.

        Raises `Closed`, `NotFound`, `Busy`; `Usage` where a comment is for no such line.
        """
        return self._discard({"ids": selectors_of(ids), "reason": reason}, comments)

    def _discard(self, params: Mapping[str, Any], comments: Iterable[Comment]) -> tuple[Patch, ...]:
        written = [comment.to_json() for comment in comments]
        return patches_of(self.call("discard", {**params, "comments": written})["patches"])

    def refresh(self, *ids: Selector) -> Proposed:
        """Proposes stale, expired or rejected patches again, merged with what their files are now.

        Raises `Conflict` where the user has changed the same lines, `Closed`, `NotFound`.
        """
        return Proposed.from_json(self.call("refresh", {"ids": selectors_of(ids)}))

    def undo(self, apply: str | None = None, *ids: Selector) -> Undone:
        """Undoes an applied set, by default the newest one; its patches are pending again.

        With ``ids`` only these of its patches are undone: ``undo(None, Under("src"))``. The others stay
        applied and can be undone later.

        Raises `Stale` where a file has changed since, `NotFound`, `Closed`; `Refused` as `apply`.
        """
        return Undone.from_json(self.call("undo", {"apply": apply, "ids": selectors_of(ids)}))

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
        subscribed: Future[None] = Future()

        def take(answer: Result) -> None:
            # In the thread that reads, before it reads the first event.
            try:
                result = self._connection.result_of(answer)
                events._begin(result["subscription"], result["since"])
                with self._lock:
                    self._subscriptions[result["subscription"]] = events
            except Exception as error:
                subscribed.set_exception(error)
            else:
                subscribed.set_result(None)

        self._connection.send("subscribe", params, take, Deadline(None))
        subscribed.result()
        return events

    def events_since(self, since: int, limit: int = 256) -> tuple[Event, ...]:
        """Entries of the log after this one, at most so many, and at most 1000."""
        return self._events_since(since, limit, None)

    def _events_since(self, since: int, limit: int, timeout: float | None) -> tuple[Event, ...]:
        answered = self.call("events", {"since": since, "limit": limit}, timeout=timeout)
        return tuple(Event.from_json(event) for event in answered["events"])

    def _unsubscribe(self, subscription: int) -> None:
        with self._lock:
            known = self._subscriptions.pop(subscription, None)
        if known is not None:
            # A server that has ended has ended this as well.
            with contextlib.suppress(Disconnected):
                self.call("unsubscribe", {"subscription": subscription})
