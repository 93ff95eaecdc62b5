"""Holds the file changes of AI agents until somebody approves them.

A `Greenroom` runs ``greenroom serve`` over one workspace. Each agent has a `Session`. What it writes
waits outside of the workspace as patches, until it is applied by its signature or discarded:

    with Greenroom("project") as greenroom:
        session = greenroom.open_session("refactorer")
        session.write("src/greeting.txt", "good evening\\n")
        shown = session.diff()
        print(shown.text)
        session.apply(expect=shown.signature)

Every object can be used by several threads at once. A call waits for its answer; `Greenroom.submit`
gives a future, which ``asyncio.wrap_future`` makes awaitable.

Paths are relative to the workspace's root. A path that is not UTF-8 is text with surrogate escapes, as
``os.fsdecode`` makes it. Contents are bytes, or text that is written as UTF-8.
"""

from ._answers import (
    Applied,
    ApplyStatus,
    Approval,
    ClosedSession,
    Contested,
    Event,
    File,
    Fitted,
    InDoubtApply,
    Layer,
    PatchApply,
    PendingSession,
    Placement,
    Proposed,
    Quarantined,
    Recovered,
    RecoveredApply,
    Redone,
    ServerInfo,
    ShownDiff,
    ShownPatch,
    Status,
    TrialResult,
    Undone,
    UndoneFile,
)
from ._changes import (
    Change,
    Comment,
    CreateDirectory,
    Delete,
    Edit,
    Except,
    Rename,
    Selector,
    SetMode,
    Symlink,
    Under,
    Write,
    WriteFrom,
)
from ._client import Greenroom
from ._connection import find_binary
from ._errors import (
    Busy,
    Closed,
    ConfirmationMissing,
    Conflict,
    Damaged,
    Disconnected,
    GreenroomError,
    InDoubt,
    IoFailed,
    Limit,
    NoMatch,
    NotFound,
    Panicked,
    Refused,
    SignatureMismatch,
    Stale,
    Stopped,
    StoreFailed,
    Unsupported,
    Usage,
)
from ._events import Events
from ._session import Session
from ._types import (
    Base,
    Content,
    DiffSummary,
    LineComment,
    Patch,
    Risk,
    RiskyPath,
    SessionInfo,
    SetRisk,
    Totals,
)

__all__ = [
    "Applied",
    "ApplyStatus",
    "Approval",
    "Base",
    "Busy",
    "Change",
    "Closed",
    "ClosedSession",
    "Comment",
    "ConfirmationMissing",
    "Conflict",
    "Content",
    "Contested",
    "CreateDirectory",
    "Damaged",
    "Delete",
    "DiffSummary",
    "Disconnected",
    "Edit",
    "Event",
    "Events",
    "Except",
    "File",
    "Fitted",
    "Greenroom",
    "GreenroomError",
    "InDoubt",
    "InDoubtApply",
    "IoFailed",
    "Layer",
    "Limit",
    "LineComment",
    "NoMatch",
    "NotFound",
    "Panicked",
    "Patch",
    "PatchApply",
    "PendingSession",
    "Placement",
    "Proposed",
    "Quarantined",
    "Recovered",
    "RecoveredApply",
    "Redone",
    "Refused",
    "Rename",
    "Risk",
    "RiskyPath",
    "Selector",
    "ServerInfo",
    "Session",
    "SessionInfo",
    "SetMode",
    "SetRisk",
    "ShownDiff",
    "ShownPatch",
    "SignatureMismatch",
    "Stale",
    "Status",
    "Stopped",
    "StoreFailed",
    "Symlink",
    "Totals",
    "TrialResult",
    "Under",
    "Undone",
    "UndoneFile",
    "Unsupported",
    "Usage",
    "Write",
    "WriteFrom",
    "find_binary",
]
