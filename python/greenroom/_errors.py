"""Errors, one class for each kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._text import unescape_path


class GreenroomError(Exception):
    """A call was refused or failed, and no file of the workspace has changed, with four exceptions: after
    `InDoubt`, `Panicked`, `Stopped` and `Disconnected` an apply, undo or redo may be on the disk.
    `Greenroom.recover` decides it, and `Greenroom.apply_status` says what became of an apply with a
    ``request``. A TimeoutError says nothing of the outcome either: what was asked goes on.

    `kind` is the word by which programs decide, and that ``--json`` prints. The other attributes say
    what the error is about; each is None, or empty, where it is about none.
    """

    kind = "failed"

    def __init__(self, message: str, data: Mapping[str, Any] | None = None) -> None:
        """An error with this message, and the ``data`` of the protocol's error."""
        super().__init__(message)
        data = data or {}
        self.message: str = message
        self.path: str | None = _path(data.get("path"))
        """The file."""
        self.patches: tuple[str, ...] = tuple(data.get("patches", ()))
        """The patches."""
        self.session: str | None = data.get("session")
        """The session."""
        self.apply: str | None = data.get("apply")
        """The apply."""
        self.signature: str | None = data.get("signature")
        """The signature of what is pending, where another one was approved."""
        self.blake3: str | None = data.get("blake3")
        """The digest of the file as the session sees it, where the change was made from another."""
        self.occurrences: int | None = data.get("occurrences")
        """How often the text to replace occurs."""
        self.limit: int | None = data.get("limit")
        """The limit that is reached."""


def _path(escaped: str | None) -> str | None:
    return None if escaped is None else unescape_path(escaped)


class Usage(GreenroomError):
    """The call makes no sense as it is."""

    kind = "usage"


class NotFound(GreenroomError):
    """There is no such session, patch, apply or file."""

    kind = "not_found"


class NoMatch(GreenroomError):
    """The text to replace is not in the file exactly once, or a hunk does not fit."""

    kind = "no_match"


class Stale(GreenroomError):
    """A file has changed since the agent read it: read it again, or refresh the patches."""

    kind = "stale"


class Conflict(GreenroomError):
    """The call contradicts something that is pending or on the disk."""

    kind = "conflict"


class Refused(GreenroomError):
    """The path, the mode or the decision is not allowed."""

    kind = "refused"


class SignatureMismatch(GreenroomError):
    """What is pending now differs from what was approved: show it again."""

    kind = "signature_mismatch"


class ConfirmationMissing(GreenroomError):
    """Files are replaced as a whole, and the call does not confirm that."""

    kind = "confirmation_missing"


class Closed(GreenroomError):
    """The session has ended, or the patch or apply was decided before."""

    kind = "closed"


class Limit(GreenroomError):
    """A limit is reached. What was pending stays as it was."""

    kind = "limit"


class Busy(GreenroomError):
    """Another call or process uses what this call needs: try again."""

    kind = "busy"


class InDoubt(GreenroomError):
    """It is not certain that an apply is on the disk, this one or one before: call `Greenroom.recover`."""

    kind = "in_doubt"


class IoFailed(GreenroomError):
    """A system call failed."""

    kind = "io"


class Damaged(GreenroomError):
    """A stored content, or the store, is not what was written."""

    kind = "damaged"


class StoreFailed(GreenroomError):
    """The store failed."""

    kind = "store"


class Unsupported(GreenroomError):
    """The file system lacks a call that is needed."""

    kind = "unsupported"


class Stopped(GreenroomError):
    """The part of the server that answers such calls has stopped, perhaps while it did this one."""

    kind = "stopped"


class Panicked(GreenroomError):
    """The call has hit a defect of Greenroom, and how far it came is not known."""

    kind = "panicked"


class Disconnected(GreenroomError):
    """The server has ended before it answered, or was closed before it was asked.

    What was asked may be done or not: a proposal may be staged, an apply may be on the disk. An apply
    with a ``request`` can be asked for by name.
    """

    kind = "disconnected"


_BY_KIND: dict[str, type[GreenroomError]] = {cls.kind: cls for cls in GreenroomError.__subclasses__()}


def error_of(error: Mapping[str, Any]) -> GreenroomError:
    """The exception for an error of the protocol, or for one that ``--json`` prints."""
    data = error.get("data", error)
    cls = _BY_KIND.get(data.get("kind", ""), GreenroomError)
    found = cls(error.get("message", "the call failed"), data)
    if cls is GreenroomError:
        # A later version may have kinds that this one does not know.
        found.kind = data.get("kind", cls.kind)
    return found
