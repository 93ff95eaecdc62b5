"""The package and the published schema."""

import json
import subprocess
import unittest
from dataclasses import fields
from typing import Any, Optional

import greenroom
from greenroom import (
    Comment,
    CreateDirectory,
    Delete,
    Edit,
    GreenroomError,
    Rename,
    SetMode,
    Symlink,
    Write,
    WriteFrom,
    find_binary,
)

Json = dict[str, Any]

ANSWERS: dict[str, Any] = {
    "AppliedPatchView": greenroom.AppliedPatch,
    "AppliedView": greenroom.Applied,
    "ApplyRecord": greenroom.ApplyRecord,
    "ApplyStatus": greenroom.ApplyStatus,
    "Approval": greenroom.Approval,
    "BaseJson": greenroom.Base,
    "ClosedView": greenroom.ClosedSession,
    "ContentJson": greenroom.Content,
    "ContentView": greenroom.File,
    "Contested": greenroom.Contested,
    "DiffView": greenroom.DiffSummary,
    "EarlierView": greenroom.EarlierRevision,
    "FittedFile": greenroom.Fitted,
    "HelloView": greenroom.ServerInfo,
    "InDoubtApply": greenroom.InDoubtApply,
    "LayerView": greenroom.Layer,
    "LineComment": greenroom.LineComment,
    "PatchApply": greenroom.PatchApply,
    "PatchView": greenroom.Patch,
    "PendingView": greenroom.PendingSession,
    "Placement": greenroom.Placement,
    "ProposedView": greenroom.Proposed,
    "QuarantinedView": greenroom.Quarantined,
    "RecoverView": greenroom.Recovered,
    "RecoveredApply": greenroom.RecoveredApply,
    "RedoneView": greenroom.Redone,
    "Risk": greenroom.Risk,
    "RiskyPath": greenroom.RiskyPath,
    "SelectionView": greenroom.ShownDiff,
    "Session": greenroom.SessionInfo,
    "SetRisk": greenroom.SetRisk,
    "ShownApplyView": greenroom.ShownApply,
    "ShownView": greenroom.ShownPatch,
    "StatusView": greenroom.Status,
    "Totals": greenroom.Totals,
    "TrialResult": greenroom.TrialResult,
    "UndoneFile": greenroom.UndoneFile,
    "UndoneView": greenroom.Undone,
}
"""The class of each object that an answer is made of."""

UNWRAPPED = {
    "AppliesView",
    "ApplyStatusView",
    "DiscardedView",
    "EventsView",
    "SessionView",
    "SessionsView",
    "SubscribedView",
    "UnsubscribedView",
}
"""Answers of which a method returns the only field, or nothing."""

METHODS = "open_session sessions status diff show apply apply_status applies show_apply".split()
METHODS += "discard refresh undo redo recover events_since".split()
METHODS_OF_SESSION = "propose patch read diff apply discard refresh close".split()

ARGUMENTS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "open_session": (("a",), {}),
    "propose": (([],), {}),
    "patch": (("",), {"directory": "d", "bases": {"a": "0"}}),
    "read": (("a",), {}),
    "show": (("p1",), {}),
    "apply_status": (("a",), {}),
    "show_apply": (("a1",), {}),
    "events_since": ((0,), {}),
}
"""What a method is called with where it needs something."""

RENAMED: dict[str, dict[str, Optional[str]]] = {
    # What bytes are written as.
    "ContentView": {"text": "content", "base64": None, "bytes": None},
    "SelectionView": {"text": "diff", "base64": None},
    "ShownApplyView": {"text": "diff", "base64": None},
    "ShownView": {"text": "diff", "base64": None},
    # It is always empty.
    "AppliedView": {"stale": None},
}
"""Fields that have another name in a class, or none."""


class Published(unittest.TestCase):
    """Everything that the server sends can be read, and everything that the package sends is taken."""

    schema: Json

    @classmethod
    def setUpClass(cls) -> None:
        printed = subprocess.run([find_binary(), "schema", "serve"], stdout=subprocess.PIPE, check=True)
        cls.schema = json.loads(printed.stdout)

    def definition(self, name: str) -> Json:
        """A published object."""
        found: Json = self.schema["$defs"][name]
        return found

    def sample(self, schema: Json, with_optional: bool) -> Any:
        """A value as it is published, with or without everything that may be left out or null."""
        if "$ref" in schema:
            return self.sample(self.definition(schema["$ref"].rsplit("/", 1)[1]), with_optional)
        if "anyOf" in schema or "oneOf" in schema:
            choices = schema.get("anyOf") or schema["oneOf"]
            return self.sample(choices[0 if with_optional else -1], with_optional)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema["type"]
        if isinstance(kind, list):
            kind = kind[0 if with_optional else -1]
        if kind == "object":
            required = schema.get("required", ())
            properties = schema.get("properties", {}).items()
            taken = (each for each in properties if with_optional or each[0] in required)
            return {name: self.sample(value, with_optional) for name, value in taken}
        if kind == "array":
            return [self.sample(schema["items"], with_optional)] if with_optional else []
        samples = {"string": "text", "integer": 7, "boolean": with_optional, "null": None}
        return samples[kind]

    def test_every_object_of_an_answer_has_a_class(self) -> None:
        found: set[str] = set()

        def visit(schema: Any) -> None:
            if isinstance(schema, list):
                for each in schema:
                    visit(each)
            if not isinstance(schema, dict):
                return
            name = schema.get("$ref", "").rsplit("/", 1)[-1]
            if name and name not in found and "properties" in self.definition(name):
                found.add(name)
                if name != "EventRecord":
                    visit(self.definition(name))
            for each in schema.values():
                visit(each)

        for method in self.schema["methods"].values():
            visit(method["result"])
        self.assertEqual(found - UNWRAPPED - {"EventRecord"}, set(ANSWERS))

    def test_every_field_of_an_answer_is_read(self) -> None:
        for name, cls in ANSWERS.items():
            renamed = RENAMED.get(name, {})
            published = self.definition(name)["properties"]
            with self.subTest(name):
                expected = {renamed.get(field, field) for field in published} - {None}
                self.assertEqual({field.name for field in fields(cls)}, expected)
                # What is there is read, and what may be missing is empty then.
                whole = cls.from_json(self.sample({"$ref": f"#/$defs/{name}"}, True))
                empty = cls.from_json(self.sample({"$ref": f"#/$defs/{name}"}, False))
                for field in published:
                    attribute = renamed.get(field, field)
                    if attribute is None:
                        continue
                    self.assertTrue(getattr(whole, attribute), attribute)
                    if field not in self.definition(name).get("required", ()):
                        self.assertIn(getattr(empty, attribute), (None, (), False), attribute)

    def test_every_notification_is_read(self) -> None:
        self.assertEqual(set(self.schema["notifications"]), {"event", "subscription_ended"})
        for event in self.definition("EventRecord")["oneOf"]:
            name = event["properties"]["event"]["const"]
            record = {**self.sample(event, True), "seq": 7, "at": "now", "schema": 1}
            with self.subTest(name):
                read = greenroom.Event.from_json(record, {"text": "diff"})
                self.assertEqual((read.seq, read.at, read.name, read.diff), (7, "now", name, b"diff"))
                for attribute in ("session", "patch", "apply", "path", "text", "comments"):
                    self.assertEqual(bool(getattr(read, attribute)), attribute in record, attribute)

    def test_every_kind_of_change_is_published(self) -> None:
        changes: list[greenroom.Change] = [
            Write("a", "", 0o644, "0"),
            WriteFrom("a", "b", 0o644, "0"),
            Edit("a", "", "", True, "0"),
            Symlink("a", "b", "0"),
            CreateDirectory("a"),
            Delete("a", "0"),
            Rename("a", "b", "0"),
            SetMode("a", 0o644, "0"),
        ]
        published = {}
        for change in self.definition("Change")["oneOf"]:
            published[change["properties"]["kind"]["const"]] = set(change["properties"])
        self.assertEqual(published, {each.to_json()["kind"]: set(each.to_json()) for each in changes})
        comment = set(self.definition("Comment")["properties"])
        self.assertEqual(set(Comment("a", 1, "b").to_json()), comment)

    def test_every_method_and_parameter_can_be_called(self) -> None:
        sent: dict[str, set[str]] = {}

        class Recording(greenroom.Greenroom):
            """Takes calls and answers none."""

            def __init__(self) -> None:
                """There is no server."""

            def call(self, method: str, params: Any = None, *, timeout: Any = None) -> Any:
                """Remembers what was sent."""
                sent.setdefault(method, set()).update(params or ())
                raise GreenroomError("it is not answered")

        recording = Recording()
        info = greenroom.SessionInfo("s1", "a", "open", "", "", "", None, None)
        session = greenroom.Session(recording, info)
        for of in (recording, session):
            for name in METHODS if of is recording else METHODS_OF_SESSION:
                arguments, keywords = ARGUMENTS.get(name, ((), {}))
                with self.assertRaises(GreenroomError):
                    getattr(of, name)(*arguments, **keywords)
        # These are called with the connection: at its start, and for events.
        methods = set(self.schema["methods"]) - {"hello", "subscribe", "unsubscribe"}
        self.assertEqual(set(sent), methods)
        for method in methods:
            params = self.schema["methods"][method]["params"]
            published = set(self.definition(params["$ref"].rsplit("/", 1)[1]).get("properties", ()))
            # Of an undo, the session only says whose queue it waits in.
            unsent = {"session"} if method in ("undo", "redo") else set()
            self.assertEqual(sent[method], published - unsent, method)

    def test_every_kind_of_error_has_a_class(self) -> None:
        kinds = {each["const"] for each in self.definition("ErrorKind")["oneOf"]}
        classes = {cls.kind for cls in GreenroomError.__subclasses__()} - {"disconnected"}
        self.assertEqual(kinds, classes)
        failure = self.definition("Failure")
        error = greenroom._errors.error_of({"message": "m", "data": self.sample(failure, True)})
        for name in set(failure["properties"]) - {"kind"}:
            with self.subTest(name):
                self.assertTrue(getattr(error, name))


if __name__ == "__main__":
    unittest.main()
