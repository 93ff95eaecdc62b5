"""What calls answer. Fields that a later server adds are left out."""

from __future__ import annotations

from dataclasses import dataclass

from ._text import bytes_of, unescape_path
from ._types import (
    Json,
    LineComment,
    Patch,
    SessionInfo,
    SetRisk,
    Totals,
    patches_of,
    path_of,
    risks_of,
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
    other sessions with a patch of the same file, `superseded` the patches that were withdrawn or whose
    place these took. A patch that is rewritten keeps its id."""

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
        diff, risks = bytes_of(json) or b"", risks_of(json)
        return cls(json["signature"], patches_of(json["patches"]), lapsed, diff, risks)


@dataclass(frozen=True)
class Approval:
    """How an apply was approved, such as ``asked`` or ``library``; `agent` is the agent in whose
    environment that was, or the client that asked, and `rule` the user's rule, if there was one."""

    means: str
    agent: str | None
    rule: str | None

    @classmethod
    def from_json(cls, json: Json) -> Approval:
        """Reads the protocol's object."""
        return cls(json["means"], json.get("agent"), json.get("rule"))


@dataclass(frozen=True)
class PatchApply:
    """One apply of a patch. `approval` is None where an older version applied it."""

    apply: str
    outcome: str | None
    undone_by: str | None
    approval: Approval | None

    @classmethod
    def from_json(cls, json: Json) -> PatchApply:
        """Reads the protocol's object."""
        approval = None if json["approval"] is None else Approval.from_json(json["approval"])
        return cls(json["apply"], json["outcome"], json["undone_by"], approval)


@dataclass(frozen=True)
class EarlierRevision:
    """What a patch proposed before, kept under an id of its own. `reason` is ``superseded`` where its agent
    replaced it, ``edited`` where the reviewer did."""

    id: str
    revision: int
    reason: str | None
    created_at: str
    replaced_at: str
    content_kept: bool

    @classmethod
    def from_json(cls, json: Json) -> EarlierRevision:
        """Reads the protocol's object."""
        return cls(
            json["id"],
            json["revision"],
            json["reason"],
            json["created_at"],
            json["replaced_at"],
            json["content_kept"],
        )


@dataclass(frozen=True)
class ShownPatch:
    """One patch in full. `diff` is None where its content is not stored any more."""

    session: str
    patch: Patch
    remarks: tuple[str, ...]
    reason_text: str | None
    comments: tuple[LineComment, ...]
    created_at: str
    updated_at: str
    apply: str | None
    applies: tuple[PatchApply, ...]
    earlier: tuple[EarlierRevision, ...]
    diff: bytes | None

    @classmethod
    def from_json(cls, json: Json) -> ShownPatch:
        """Reads the protocol's object."""
        return cls(
            json["session"],
            Patch.from_json(json["patch"]),
            tuple(json["remarks"]),
            json["reason_text"],
            tuple(LineComment.from_json(comment) for comment in json.get("comments", ())),
            json["created_at"],
            json["updated_at"],
            json["apply"],
            tuple(PatchApply.from_json(apply) for apply in json["applies"]),
            tuple(EarlierRevision.from_json(earlier) for earlier in json.get("earlier", ())),
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
class TrialResult:
    """The result of a command of ``greenroom exec`` on the set of this signature."""

    signature: str
    command: str
    code: int
    at: str
    took_ms: int

    @classmethod
    def from_json(cls, json: Json) -> TrialResult:
        """Reads the protocol's object."""
        return cls(json["signature"], json["command"], json["code"], json["at"], json["took_ms"])


@dataclass(frozen=True)
class Layer:
    """What the commands of a session have written. `copy_bytes` are those of the copy of the workspace
    that they see."""

    session: str
    files: int
    bytes: int
    copy_bytes: int

    @classmethod
    def from_json(cls, json: Json) -> Layer:
        """Reads the protocol's object."""
        return cls(json["session"], json["files"], json["bytes"], json["copy_bytes"])


@dataclass(frozen=True)
class Status:
    """Everything that is pending. `exec` are results of commands on sets, `layers` what commands of
    sessions have written. `kept` are files with users' bytes that could not stay in place,
    `open_journals` name applies that run or wait for recovery, `quarantined` journals that are ignored."""

    workspace: str
    signature: str
    sessions: tuple[PendingSession, ...]
    exec: tuple[TrialResult, ...]
    layers: tuple[Layer, ...]
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
            tuple(TrialResult.from_json(each) for each in json.get("exec", ())),
            tuple(Layer.from_json(each) for each in json.get("layers", ())),
            tuple(Contested.from_json(each) for each in json.get("contested", ())),
            tuple(InDoubtApply.from_json(each) for each in json.get("in_doubt", ())),
            tuple(json.get("open_journals", ())),
            tuple(json.get("quarantined", ())),
            tuple(json.get("kept", ())),
            risks_of(json),
        )


@dataclass(frozen=True)
class Applied:
    """The result of an apply. `apply` is None after a dry run, whose `outcome` is ``dry_run``.
    `left_out` are stale and expired patches that ``rest`` has left out, `warnings` sentences for a
    person, and `kept` files with users' bytes that could not stay in place."""

    apply: str | None
    outcome: str
    patches: tuple[str, ...]
    signature: str
    totals: Totals
    left_out: tuple[Patch, ...]
    warnings: tuple[str, ...]
    kept: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Applied:
        """Reads the protocol's object."""
        return cls(
            json["apply"],
            json["outcome"],
            tuple(json["patches"]),
            json["signature"],
            Totals.from_json(json["totals"]),
            patches_of(json.get("left_out", ())),
            tuple(json.get("warnings", ())),
            tuple(json.get("kept", ())),
        )


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
class ApplyRecord:
    """An apply or an undo. `outcome` and `reason` are as in `ApplyStatus`. `undoes` is the apply that it
    undoes, wholly or in part, `undone_by` the undo after which nothing of it is applied, and `undone` counts
    its patches that were undone. Where it is `forgotten`, it can be neither undone nor redone."""

    apply: str
    outcome: str | None
    reason: str | None
    started_at: str
    approval: Approval | None
    message: str | None
    undoes: str | None
    undone_by: str | None
    totals: Totals
    undone: int
    forgotten: bool

    @classmethod
    def from_json(cls, json: Json) -> ApplyRecord:
        """Reads the protocol's object."""
        return cls(
            json["apply"],
            json["outcome"],
            json["reason"],
            json["started_at"],
            None if json["approval"] is None else Approval.from_json(json["approval"]),
            json["message"],
            json["undoes"],
            json["undone_by"],
            Totals.from_json(json["totals"]),
            json["undone"],
            json["forgotten"],
        )


@dataclass(frozen=True)
class AppliedPatch(Patch):
    """A patch of an apply as it is now. `undone_by` is the undo that undid it since."""

    undone_by: str | None

    @classmethod
    def from_json(cls, json: Json) -> AppliedPatch:
        """Reads the protocol's object."""
        return cls(**vars(Patch.from_json(json)), undone_by=json["undone_by"])


@dataclass(frozen=True)
class ShownApply(ApplyRecord):
    """An apply or an undo in full. `diff` is None for an undo, and where the contents are not stored any
    more."""

    patches: tuple[AppliedPatch, ...]
    diff: bytes | None

    @classmethod
    def from_json(cls, json: Json) -> ShownApply:
        """Reads the protocol's object."""
        patches = tuple(AppliedPatch.from_json(patch) for patch in json["patches"])
        return cls(**vars(ApplyRecord.from_json(json)), patches=patches, diff=bytes_of(json))


@dataclass(frozen=True)
class UndoneFile:
    """A file as it is again after an undo. `rename_to` is where the patch had moved it."""

    patch: str
    path: str
    rename_to: str | None

    @classmethod
    def from_json(cls, json: Json) -> UndoneFile:
        """Reads the protocol's object."""
        return cls(json["patch"], unescape_path(json["path"]), path_of(json["rename_to"]))


@dataclass(frozen=True)
class Undone:
    """The result of an undo. `pending` are the patches that are pending again, which `signature`
    approves, and `remaining` those that are still applied."""

    apply: str
    undone: str
    outcome: str
    patches: tuple[str, ...]
    pending: tuple[str, ...]
    signature: str
    remaining: tuple[str, ...]
    totals: Totals
    files: tuple[UndoneFile, ...]
    kept: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Undone:
        """Reads the protocol's object."""
        return cls(
            json["apply"],
            json["undone"],
            json["outcome"],
            tuple(json["patches"]),
            tuple(json["pending"]),
            json["signature"],
            tuple(json["remaining"]),
            Totals.from_json(json["totals"]),
            tuple(UndoneFile.from_json(file) for file in json["files"]),
            tuple(json.get("kept", ())),
        )


@dataclass(frozen=True)
class Redone:
    """The result of a redo."""

    apply: str | None
    redone: str
    outcome: str
    patches: tuple[str, ...]
    totals: Totals

    @classmethod
    def from_json(cls, json: Json) -> Redone:
        """Reads the protocol's object."""
        patches, totals = tuple(json["patches"]), Totals.from_json(json["totals"])
        return cls(json["apply"], json["redone"], json["outcome"], patches, totals)


@dataclass(frozen=True)
class RecoveredApply:
    """An interrupted apply, and how it was decided. `set` is its name in the journal, `undoes` the apply
    that it was to undo, `conflicts` what had changed, `restored` what came from the store, and
    `from_record` says that there was no journal that could be read."""

    apply: str | None
    set: str
    undoes: str | None
    files: tuple[str, ...]
    outcome: str
    conflicts: tuple[str, ...]
    restored: tuple[str, ...]
    from_record: bool

    @classmethod
    def from_json(cls, json: Json) -> RecoveredApply:
        """Reads the protocol's object."""
        return cls(
            json["apply"],
            json["set"],
            json["undoes"],
            tuple(json["files"]),
            json["outcome"],
            tuple(json["conflicts"]),
            tuple(json["restored"]),
            json["from_record"],
        )


@dataclass(frozen=True)
class Quarantined:
    """A journal that recovery does not act on, and why."""

    file: str
    reason: str

    @classmethod
    def from_json(cls, json: Json) -> Quarantined:
        """Reads the protocol's object."""
        return cls(json["file"], json["reason"])


@dataclass(frozen=True)
class Recovered:
    """What a recovery did. `kept` are files with users' bytes that could not stay in place,
    `blobs_removed` counts contents that nothing needed, and `foreign_slots` are temporary files of
    other states of Greenroom, left as they are."""

    recovered: tuple[RecoveredApply, ...]
    kept: tuple[str, ...]
    quarantined: tuple[Quarantined, ...]
    blobs_removed: int
    foreign_slots: tuple[str, ...]

    @classmethod
    def from_json(cls, json: Json) -> Recovered:
        """Reads the protocol's object."""
        return cls(
            tuple(RecoveredApply.from_json(each) for each in json["recovered"]),
            tuple(json["kept"]),
            tuple(Quarantined.from_json(each) for each in json["quarantined"]),
            json["blobs_removed"],
            tuple(json["foreign_slots"]),
        )


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
        return path_of(self.data.get("path"))

    @property
    def text(self) -> str | None:
        """The reviewer's reason."""
        return self.data.get("text")

    @property
    def comments(self) -> tuple[LineComment, ...]:
        """What the reviewer says about single lines."""
        return tuple(LineComment.from_json(comment) for comment in self.data.get("comments", ()))

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
