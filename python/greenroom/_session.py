"""Sessions: what agents propose and read."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._answers import Applied, ClosedSession, File, Proposed, ShownDiff
from ._changes import (
    Change,
    Comment,
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
from ._text import PathArgument, content_of, escape_path
from ._types import Patch, SessionInfo

if TYPE_CHECKING:
    from ._client import Greenroom


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
        message: str | None = None,
        request: str | None = None,
        timeout: float | None = None,
    ) -> Applied:
        """As `Greenroom.apply`, of this session's patches by default."""
        params: dict[str, Any] = {"session": self.id, "ids": selectors_of(ids), "expect": expect}
        params.update(confirm_full_replace=confirm_full_replace, rest=rest, dry_run=dry_run, message=message)
        return self.greenroom._apply({**params, "request": request}, timeout)

    def discard(
        self, *ids: Selector, reason: str | None = None, comments: Iterable[Comment] = ()
    ) -> tuple[Patch, ...]:
        """As `Greenroom.discard`, of this session's patches by default."""
        params = {"session": self.id, "ids": selectors_of(ids), "reason": reason}
        return self.greenroom._discard(params, comments)

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
