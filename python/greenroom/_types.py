"""What calls answer. Times are text as of RFC 3339, in UTC; digests and signatures are 64 hex digits.

Fields that a later server adds are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ._text import bytes_of, unescape_path

Json = Mapping[str, Any]


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
        to = json.get("rename_to")
        rename_to = None if to is None else unescape_path(to)
        return cls(json["patch"], unescape_path(json["path"]), rename_to, json.get("detail"))


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
    patch alone. A create has no `base`, a delete nothing `staged`.
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
    base: Base | None
    staged: Content | None
    diff: DiffSummary

    @classmethod
    def from_json(cls, json: Json) -> Patch:
        """Reads the protocol's object."""
        rename_to, base, staged = json["rename_to"], json["base"], json["staged"]
        return cls(
            id=json["id"],
            session=json["session"],
            path=unescape_path(json["path"]),
            operation=json["operation"],
            rename_to=None if rename_to is None else unescape_path(rename_to),
            state=json["state"],
            reason=json["reason"],
            signature=json["signature"],
            revision=json["revision"],
            base=None if base is None else Base.from_json(base),
            staged=None if staged is None else Content.from_json(staged),
            diff=DiffSummary.from_json(json["diff"]),
        )


def patches_of(json: Iterable[Json]) -> tuple[Patch, ...]:
    """Reads a list of patches."""
    return tuple(Patch.from_json(patch) for patch in json)


def _risks_of(json: Json) -> tuple[SetRisk, ...]:
    return tuple(SetRisk.from_json(risk) for risk in json.get("risks", ()))


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


@dataclass(frozen=True)
class ClosedSession:
    """A session that was closed, with the patches that this rejected and dismissed."""

    session: SessionInfo
    rejected: tuple[Patch, ...]
    dismissed: tuple[Patch, ...]

    @classmethod
    def from_json(cls, json: Json) -> ClosedSession:
        """Reads the protocol's object."""
        session = SessionInfo.from_json(json["session"])
        return cls(session, patches_of(json["rejected"]), patches_of(json["dismissed"]))


@dataclass(frozen=True)
class Placement:
    """Where a hunk fits: the first line that it covers, the distance from the line in its header, and
    how much of its text had to match."""

    hunk: int
    line: int
    offset: int | None
    level: str

    @classmethod
    def from_json(cls, json: Json) -> Placement:
        """Reads the protocol's object."""
        return cls(json["hunk"], json["line"], json["offset"], json["level"])


@dataclass(frozen=True)
class Fitted:
    """How the hunks of a patch fit one file. `is_base` is None where the patch does not name the
    content that it was made from."""

    path: str
    is_base: bool | None
    hunks: tuple[Placement, ...]

    @classmethod
    def from_json(cls, json: Json) -> Fitted:
        """Reads the protocol's object."""
        hunks = tuple(Placement.from_json(hunk) for hunk in json["hunks"])
        return cls(unescape_path(json["path"]), json["is_base"], hunks)


@dataclass(frozen=True)
class Proposed:
    """What was staged. There is no patch where the proposal equals the disk. `also_pending_in` names
    other sessions with a patch of the same file, `superseded` the patches that were replaced."""

    session: str | None
    patches: tuple[Patch, ...]
    also_pending_in: tuple[str, ...]
    superseded: tuple[str, ...]
    fitted: tuple[Fitted, ...]

    @property
    def patch(self) -> Patch | None:
        """The only patch; None where there is none, or there are several."""
        return self.patches[0] if len(self.patches) == 1 else None

    @classmethod
    def from_json(cls, json: Json) -> Proposed:
        """Reads the protocol's object."""
        return cls(
            json["session"],
            patches_of(json["patches"]),
            tuple(json.get("also_pending_in", ())),
            tuple(json.get("superseded", ())),
            tuple(Fitted.from_json(file) for file in json.get("fitted", ())),
        )


@dataclass(frozen=True)
class File:
    """A file as a session sees it. `blake3` is what a proposal names as its ``base``."""

    session: str
    path: str
    blake3: str
    content: bytes

    @property
    def text(self) -> str:
        """The content as text. UnicodeDecodeError where it is not UTF-8."""
        return self.content.decode()

    @classmethod
    def from_json(cls, json: Json) -> File:
        """Reads the protocol's object."""
        path, content = unescape_path(json["path"]), bytes_of(json)
        return cls(json["session"], path, json["blake3"], content or b"")


@dataclass(frozen=True)
class ShownDiff:
    """Pending patches as one diff, and the signature that approves exactly these. `lapsed` are stale
    and expired patches that the selection lacks."""

    signature: str
    patches: tuple[Patch, ...]
    lapsed: tuple[Patch, ...]
    diff: bytes
    risks: tuple[SetRisk, ...]

    @property
    def text(self) -> str:
        """The diff as text; bytes that are not UTF-8 are replaced. Agents wrote it: it may contain
        characters that a terminal does not show."""
        return self.diff.decode("utf-8", "replace")

    @classmethod
    def from_json(cls, json: Json) -> ShownDiff:
        """Reads the protocol's object."""
        lapsed = patches_of(json.get("lapsed", ()))
        diff, risks = bytes_of(json) or b"", _risks_of(json)
        return cls(json["signature"], patches_of(json["patches"]), lapsed, diff, risks)


@dataclass(frozen=True)
class PatchApply:
    """One apply of a patch. `approval` has ``means`` and perhaps ``agent``."""

    apply: str
    outcome: str | None
    undone_by: str | None
    approval: Json | None

    @classmethod
    def from_json(cls, json: Json) -> PatchApply:
        """Reads the protocol's object."""
        return cls(json["apply"], json["outcome"], json["undone_by"], json["approval"])


@dataclass(frozen=True)
class ShownPatch:
    """One patch in full. `diff` is None where its content is not stored any more."""

    patch: Patch
    remarks: tuple[str, ...]
    reason_text: str | None
    created_at: str
    updated_at: str
    apply: str | None
    applies: tuple[PatchApply, ...]
    diff: bytes | None

    @classmethod
    def from_json(cls, json: Json) -> ShownPatch:
        """Reads the protocol's object."""
        return cls(
            Patch.from_json(json["patch"]),
            tuple(json["remarks"]),
            json["reason_text"],
            json["created_at"],
            json["updated_at"],
            json["apply"],
            tuple(PatchApply.from_json(apply) for apply in json["applies"]),
            bytes_of(json),
        )


@dataclass(frozen=True)
class PendingSession:
    """A session with what is pending in it, and the signature that approves all of that."""

    id: str
    label: str
    state: str
    signature: str
    created_at: str
    expires_at: str
    orphaned_at: str | None
    patches: tuple[Patch, ...]
    lapsed: tuple[Patch, ...]

    @classmethod
    def from_json(cls, json: Json) -> PendingSession:
        """Reads the protocol's object."""
        return cls(
            json["id"],
            json["label"],
            json["state"],
            json["signature"],
            json["created_at"],
            json["expires_at"],
            json.get("orphaned_at"),
            patches_of(json["patches"]),
            patches_of(json.get("lapsed", ())),
        )


@dataclass(frozen=True)
class Contested:
    """A file that several sessions want to change."""

    path: str
    patches: tuple[str, ...]
    sessions: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Contested:
        """Reads the protocol's object."""
        return cls(unescape_path(json["path"]), tuple(json["patches"]), tuple(json["sessions"]))


@dataclass(frozen=True)
class InDoubtApply:
    """An apply that recovery could not decide, and why."""

    apply: str
    reason: str

    @classmethod
    def from_json(cls, json: Json) -> InDoubtApply:
        """Reads the protocol's object."""
        return cls(json["apply"], json["reason"])


@dataclass(frozen=True)
class Status:
    """Everything that is pending. `kept` are files with users' bytes that could not stay in place,
    `open_journals` name applies that run or wait for recovery, `quarantined` journals that are ignored."""

    workspace: str
    signature: str
    sessions: tuple[PendingSession, ...]
    contested: tuple[Contested, ...]
    in_doubt: tuple[InDoubtApply, ...]
    open_journals: tuple[str, ...]
    quarantined: tuple[str, ...]
    kept: tuple[str, ...]
    risks: tuple[SetRisk, ...]

    @property
    def patches(self) -> tuple[Patch, ...]:
        """Everything pending, by session."""
        return tuple(patch for session in self.sessions for patch in session.patches)

    @classmethod
    def from_json(cls, json: Json) -> Status:
        """Reads the protocol's object."""
        return cls(
            json["workspace"],
            json["signature"],
            tuple(PendingSession.from_json(session) for session in json["sessions"]),
            tuple(Contested.from_json(each) for each in json.get("contested", ())),
            tuple(InDoubtApply.from_json(each) for each in json.get("in_doubt", ())),
            tuple(json.get("open_journals", ())),
            tuple(json.get("quarantined", ())),
            tuple(json.get("kept", ())),
            _risks_of(json),
        )


@dataclass(frozen=True)
class Applied:
    """The result of an apply. `apply` is None after a dry run, whose `outcome` is ``dry_run``."""

    apply: str | None
    outcome: str
    patches: tuple[str, ...]
    warnings: tuple[str, ...]
    kept: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Applied:
        """Reads the protocol's object."""
        warnings, kept = tuple(json.get("warnings", ())), tuple(json.get("kept", ()))
        return cls(json["apply"], json["outcome"], tuple(json["patches"]), warnings, kept)


@dataclass(frozen=True)
class ApplyStatus:
    """The status of an apply that has begun. `outcome` is ``committed``, ``rolled_back``, ``in_doubt``,
    or None while it runs."""

    apply: str
    outcome: str | None
    patches: tuple[str, ...]
    reason: str | None

    @classmethod
    def from_json(cls, json: Json) -> ApplyStatus:
        """Reads the protocol's object."""
        return cls(json["apply"], json["outcome"], tuple(json["patches"]), json["reason"])


@dataclass(frozen=True)
class Undone:
    """The result of an undo; `pending` are the patches that are pending again."""

    apply: str
    undone: str
    patches: tuple[str, ...]
    pending: tuple[str, ...]
    kept: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Undone:
        """Reads the protocol's object."""
        patches, pending = tuple(json["patches"]), tuple(json["pending"])
        return cls(json["apply"], json["undone"], patches, pending, tuple(json.get("kept", ())))


@dataclass(frozen=True)
class Redone:
    """The result of a redo."""

    apply: str | None
    redone: str
    patches: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Redone:
        """Reads the protocol's object."""
        return cls(json["apply"], json["redone"], tuple(json["patches"]))


@dataclass(frozen=True)
class RecoveredApply:
    """An interrupted apply, and how it was decided. `undoes` is the apply that it was to undo."""

    apply: str | None
    outcome: str
    undoes: str | None
    files: tuple[str, ...]
    conflicts: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> RecoveredApply:
        """Reads the protocol's object."""
        files, conflicts = tuple(json["files"]), tuple(json["conflicts"])
        return cls(json["apply"], json["outcome"], json["undoes"], files, conflicts)


@dataclass(frozen=True)
class Recovered:
    """What a recovery did; `kept` are files with users' bytes that could not stay in place."""

    recovered: tuple[RecoveredApply, ...]
    kept: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Recovered:
        """Reads the protocol's object."""
        recovered = tuple(RecoveredApply.from_json(each) for each in json["recovered"])
        return cls(recovered, tuple(json["kept"]))


@dataclass(frozen=True)
class Event:
    """An entry of the log. `name` says what happened, such as ``patch_proposed``; `data` has all of its
    fields. `diff` is a proposed patch's, where that was asked for and is at hand."""

    seq: int
    at: str
    name: str
    data: Json
    diff: bytes | None = None

    @property
    def session(self) -> str | None:
        """The session that it is about."""
        return self.data.get("session")

    @property
    def patch(self) -> str | None:
        """The patch that it is about."""
        return self.data.get("patch")

    @property
    def apply(self) -> str | None:
        """The apply that it is about."""
        return self.data.get("apply")

    @property
    def path(self) -> str | None:
        """The file that it is about."""
        path = self.data.get("path")
        return None if path is None else unescape_path(path)

    @property
    def text(self) -> str | None:
        """The reviewer's reason."""
        return self.data.get("text")

    @classmethod
    def from_json(cls, json: Json, diff: Json | None = None) -> Event:
        """Reads the protocol's object."""
        read = None if diff is None else bytes_of(diff)
        return cls(json["seq"], json["at"], json["event"], json, read)


@dataclass(frozen=True)
class ServerInfo:
    """What the server is. A line of the protocol has at most `line_bytes_max` bytes; `agent` is the
    agent in whose environment the server runs, if one says so."""

    version: str
    protocol: int
    workspace: str
    methods: tuple[str, ...]
    line_bytes_max: int
    calls_in_flight_max: int
    agent: str | None

    @classmethod
    def from_json(cls, json: Json) -> ServerInfo:
        """Reads the protocol's object."""
        return cls(
            json["version"],
            json["protocol"],
            json["workspace"],
            tuple(json["methods"]),
            json["line_bytes_max"],
            json["calls_in_flight_max"],
            json["agent"],
        )
