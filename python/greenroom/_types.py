"""Patches and sessions, of which answers are made. Times are text as of RFC 3339, in UTC; digests and
signatures are 64 hex digits.

Fields that a later server adds are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._text import unescape_path

Json = Mapping[str, Any]


def path_of(escaped: str | None) -> str | None:
    """Reads a path that may be null."""
    return None if escaped is None else unescape_path(escaped)


@dataclass(frozen=True)
class Content:
    """A content and its mode, as git writes it: ``100644``."""

    blake3: str
    mode: str
    bytes: int

    @classmethod
    def from_json(cls, json: Json) -> Content:
        """Reads the protocol's object."""
        return cls(json["blake3"], json["mode"], json["bytes"])


@dataclass(frozen=True)
class Base:
    """The file as the agent read it."""

    blake3: str
    mode: str
    bytes: int
    modified_at: str

    @classmethod
    def from_json(cls, json: Json) -> Base:
        """Reads the protocol's object."""
        return cls(json["blake3"], json["mode"], json["bytes"], json["modified_at"])


@dataclass(frozen=True)
class Risk:
    """A risk of a patch, such as ``deletion`` or ``executable``, and what exactly it is."""

    kind: str
    detail: str | None

    @classmethod
    def from_json(cls, json: Json) -> Risk:
        """Reads the protocol's object."""
        return cls(json["kind"], json.get("detail"))


@dataclass(frozen=True)
class RiskyPath:
    """A patch with a risk, and what exactly it is."""

    patch: str
    path: str
    rename_to: str | None
    detail: str | None

    @classmethod
    def from_json(cls, json: Json) -> RiskyPath:
        """Reads the protocol's object."""
        path, rename_to = unescape_path(json["path"]), path_of(json.get("rename_to"))
        return cls(json["patch"], path, rename_to, json.get("detail"))


@dataclass(frozen=True)
class SetRisk:
    """All risks of one kind in a set. None is left out, however many there are."""

    kind: str
    paths: tuple[RiskyPath, ...]

    @classmethod
    def from_json(cls, json: Json) -> SetRisk:
        """Reads the protocol's object."""
        return cls(json["kind"], tuple(RiskyPath.from_json(path) for path in json["paths"]))


@dataclass(frozen=True)
class DiffSummary:
    """A diff in numbers. A full replace has none to read, and has to be confirmed."""

    strategy: str
    added: int
    removed: int
    full_replace: bool
    binary: bool
    risks: tuple[Risk, ...]

    @classmethod
    def from_json(cls, json: Json) -> DiffSummary:
        """Reads the protocol's object."""
        risks = tuple(Risk.from_json(risk) for risk in json.get("risks", ()))
        numbers = json["strategy"], json["added"], json["removed"]
        return cls(*numbers, json["full_replace"], json["binary"], risks)


@dataclass(frozen=True)
class Patch:
    """A proposed change of one file.

    `operation` is ``create``, ``modify``, ``delete``, ``rename`` or ``mode``; `state` is ``pending``,
    ``applied`` or ``discarded``, and `reason` says why it was discarded. `signature` approves this
    patch alone. `edited` says that the content is the reviewer's. A create has no `base`, a delete
    nothing `staged`. When its agent rewrites it, it keeps its id, and `revision` counts;
    an earlier revision is the patch that `revision_of` names.
    """

    id: str
    session: str
    path: str
    operation: str
    rename_to: str | None
    state: str
    reason: str | None
    signature: str
    revision: int
    edited: bool
    revision_of: str | None
    base: Base | None
    staged: Content | None
    diff: DiffSummary

    @classmethod
    def from_json(cls, json: Json) -> Patch:
        """Reads the protocol's object."""
        base, staged = json["base"], json["staged"]
        return cls(
            id=json["id"],
            session=json["session"],
            path=unescape_path(json["path"]),
            operation=json["operation"],
            rename_to=path_of(json["rename_to"]),
            state=json["state"],
            reason=json["reason"],
            signature=json["signature"],
            revision=json["revision"],
            edited=json.get("edited", False),
            revision_of=json.get("revision_of"),
            base=None if base is None else Base.from_json(base),
            staged=None if staged is None else Content.from_json(staged),
            diff=DiffSummary.from_json(json["diff"]),
        )

    @property
    def name(self) -> str:
        """The patch as it is here: its id with its revision, as in ``p1@2``. A decision that names it is
        refused once the agent has rewritten the patch."""
        return f"{self.id}@{self.revision}"


def patches_of(json: Iterable[Json]) -> tuple[Patch, ...]:
    """Reads a list of patches."""
    return tuple(Patch.from_json(patch) for patch in json)


def risks_of(json: Json) -> tuple[SetRisk, ...]:
    """Reads the risks of a set."""
    return tuple(SetRisk.from_json(risk) for risk in json.get("risks", ()))


@dataclass(frozen=True)
class Totals:
    """Patches in numbers: `files` with symbolic links, `directories` that are created or removed by
    themselves, and lines."""

    files: int
    directories: int
    added: int
    removed: int

    @classmethod
    def from_json(cls, json: Json) -> Totals:
        """Reads the protocol's object."""
        return cls(json["files"], json["directories"], json["added"], json["removed"])


@dataclass(frozen=True)
class LineComment:
    """What a reviewer says about a line of a rejected patch. `text` is the line itself."""

    path: str
    line: int
    text: str
    comment: str

    @classmethod
    def from_json(cls, json: Json) -> LineComment:
        """Reads the protocol's object."""
        return cls(unescape_path(json["path"]), json["line"], json["text"], json["comment"])


@dataclass(frozen=True)
class SessionInfo:
    """A session: open, closed or expired. `owner_pid` is the process that serves it; `orphaned_at` is
    when that process was found dead."""

    id: str
    label: str
    state: str
    created_at: str
    last_active_at: str
    expires_at: str
    owner_pid: int | None
    orphaned_at: str | None

    @classmethod
    def from_json(cls, json: Json) -> SessionInfo:
        """Reads the protocol's object."""
        return cls(
            json["id"],
            json["label"],
            json["state"],
            json["created_at"],
            json["last_active_at"],
            json["expires_at"],
            json["owner_pid"],
            json["orphaned_at"],
        )
