"""Changes that an agent proposes.

A ``base`` is the BLAKE3 digest, 64 hex digits, of the content that the change was made from, as
`Session.read` gives it. The call fails with `Stale` when the session sees another content.
A ``mode`` has permission bits: ``0o755``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Union

from ._text import PathArgument, content_of, escape_path


@dataclass(frozen=True)
class Write:
    """New content, whole. Without a mode the permission bits of the file stay."""

    path: PathArgument
    content: str | bytes
    mode: int | None = None
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("write", self.path, self.base, content=content_of(self.content), mode=self.mode)


@dataclass(frozen=True)
class WriteFrom:
    """New content, whole, streamed by the server from a file outside of the workspace."""

    path: PathArgument
    file: str | os.PathLike[str]
    mode: int | None = None
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("write_from", self.path, self.base, file=os.path.abspath(self.file), mode=self.mode)


@dataclass(frozen=True)
class Edit:
    """One piece of text replaced by another. It must occur exactly once, unless all are replaced."""

    path: PathArgument
    old: str | bytes
    new: str | bytes
    replace_all: bool = False
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        old, new = content_of(self.old), content_of(self.new)
        return _json("edit", self.path, self.base, old=old, new=new, replace_all=self.replace_all)


@dataclass(frozen=True)
class Symlink:
    """A symbolic link, also in place of a file or a link. The target is taken as it is."""

    path: PathArgument
    target: str | bytes
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("symlink", self.path, self.base, target=content_of(self.target))


@dataclass(frozen=True)
class CreateDirectory:
    """A directory, and those above it; nothing changes where one exists."""

    path: PathArgument

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("create_directory", self.path, None)


@dataclass(frozen=True)
class Delete:
    """The deletion of a file, of a symbolic link itself, or of an empty directory."""

    path: PathArgument
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("delete", self.path, self.base)


@dataclass(frozen=True)
class Rename:
    """A move to where no file is."""

    path: PathArgument
    to: PathArgument
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("rename", self.path, self.base, to=escape_path(self.to))


@dataclass(frozen=True)
class SetMode:
    """Permission bits."""

    path: PathArgument
    mode: int
    base: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The change as the protocol has it."""
        return _json("set_mode", self.path, self.base, mode=self.mode)


Change = Union[Write, WriteFrom, Edit, Symlink, CreateDirectory, Delete, Rename, SetMode]
"""A change that an agent proposes."""


def _json(kind: str, path: PathArgument, base: str | None, **fields: Any) -> dict[str, Any]:
    json: dict[str, Any] = {"kind": kind, "path": escape_path(path), **fields}
    if "mode" in fields:
        json["mode"] = None if fields["mode"] is None else f"{fields['mode']:03o}"
    if base is not None:
        json["base"] = base
    return json


@dataclass(frozen=True)
class Comment:
    """A reviewer's comment for a line, counted from 1, of what a rejected patch stages."""

    path: PathArgument
    line: int
    comment: str

    def to_json(self) -> dict[str, Any]:
        """The comment as the protocol has it."""
        return {"path": escape_path(self.path), "line": self.line, "comment": self.comment}


@dataclass(frozen=True)
class Under:
    """Selects the patches of a file, or of the files below a directory, in every session."""

    path: PathArgument

    def to_json(self) -> dict[str, Any]:
        """The selector as the protocol has it."""
        return {"path": escape_path(self.path)}


@dataclass(frozen=True)
class Except:
    """Leaves out what another selector selects."""

    selector: str | Under

    def to_json(self) -> dict[str, Any]:
        """The selector as the protocol has it."""
        return {"except": selectors_of([self.selector])[0]}


Selector = Union[str, Under, Except]
"""A patch (``p1``), a patch at a revision (``p1@2``), a session (``s1``), a session's label, a path, or an
exception."""


def selectors_of(selectors: Sequence[Selector]) -> list[str | dict[str, Any]]:
    """Selectors as the protocol has them."""
    return [each if isinstance(each, str) else each.to_json() for each in selectors]
