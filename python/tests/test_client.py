"""Calls to a server, and their answers."""

import asyncio
import functools
import os
import signal
import stat
import threading
import unittest
from typing import Any

import greenroom
from greenroom import (
    Approval,
    Closed,
    Comment,
    ConfirmationMissing,
    CreateDirectory,
    Delete,
    Disconnected,
    Edit,
    Except,
    Greenroom,
    GreenroomError,
    LineComment,
    NoMatch,
    NotFound,
    Refused,
    Rename,
    SetMode,
    SignatureMismatch,
    Stale,
    Symlink,
    Under,
    Usage,
    Write,
    WriteFrom,
)

from .support import WithServer


class Proposing(WithServer):
    """What agents do."""

    def test_a_write_waits_until_its_signature_is_applied(self) -> None:
        session = self.greenroom.open_session("agent")
        proposed = session.write("src/a.txt", "good evening\n")
        assert proposed.patch is not None
        self.assertEqual((proposed.patch.operation, proposed.patch.path), ("create", "src/a.txt"))
        self.assertEqual(proposed.patch.session, session.id)
        self.assertFalse((self.project / "src").exists())
        self.assertEqual(session.read("src/a.txt").text, "good evening\n")
        shown = session.diff()
        self.assertIn("+good evening\n", shown.text)
        applied = session.apply(expect=shown.signature)
        self.assertEqual(applied.outcome, "committed")
        self.assertEqual(self.get("src/a.txt"), "good evening\n")

    def test_every_kind_of_change_reaches_the_disk(self) -> None:
        for path in ["edit", "delete", "rename", "mode", "old"]:
            self.put(path, "one\n")
        outside = self.directory / "outside"
        outside.write_bytes(b"\x00\xff")
        session = self.greenroom.open_session("agent")
        session.propose(
            [
                Write("write", "w\n", mode=0o755),
                WriteFrom("from", outside),
                Edit("edit", "one", "two"),
                Delete("delete"),
                Rename("rename", "renamed"),
                SetMode("mode", 0o600),
                Symlink("link", "edit"),
                CreateDirectory("directory"),
            ]
        )
        session.patch("--- a/old\n+++ b/old\n@@ -1 +1 @@\n-one\n+new\n")
        session.apply(confirm_full_replace=True)
        self.assertEqual([self.get("write"), self.get("edit"), self.get("old")], ["w\n", "two\n", "new\n"])
        self.assertEqual((self.project / "from").read_bytes(), b"\x00\xff")
        self.assertEqual(stat.S_IMODE((self.project / "write").stat().st_mode), 0o755)
        self.assertEqual(stat.S_IMODE((self.project / "mode").stat().st_mode), 0o600)
        self.assertEqual(os.readlink(self.project / "link"), "edit")
        self.assertTrue((self.project / "directory").is_dir())
        self.assertTrue((self.project / "renamed").exists())
        self.assertFalse((self.project / "delete").exists())
        self.assertFalse((self.project / "rename").exists())

    def test_bytes_and_names_that_are_no_text_are_kept(self) -> None:
        session = self.greenroom.open_session("agent")
        name, content = os.fsdecode(b"\xff\\ \t"), b"\x00\xfe\n"
        proposed = session.write(name, content)
        self.assertEqual([patch.path for patch in proposed.patches], [name])
        self.assertEqual(session.read(name).content, content)
        self.assertEqual(session.diff().patches[0].path, name)

    def test_an_error_says_what_it_is_about(self) -> None:
        self.put("a.txt", "one\none\n")
        session = self.greenroom.open_session("agent")
        base = session.read("a.txt").blake3
        with self.assertRaises(NoMatch) as missed:
            session.edit("a.txt", "one", "two")
        self.assertEqual((missed.exception.path, missed.exception.occurrences), ("a.txt", 2))
        self.put("a.txt", "the user's\n")
        with self.assertRaises(Stale) as stale:
            session.write("a.txt", "two\n", base=base)
        self.assertEqual(stale.exception.path, "a.txt")
        self.assertEqual(stale.exception.blake3, session.read("a.txt").blake3)
        for refused in (".git/config", "../a.txt", "/etc/hostname"):
            with self.subTest(refused), self.assertRaises(Refused):
                session.write(refused, "x")
        with self.assertRaises(Usage):
            self.greenroom.call("apply", {"expct": base})
        with self.assertRaises(NotFound):
            session.read("nothing")
        self.assertEqual(session.diff().patches, ())

    def test_what_an_agent_rewrites_keeps_its_id_and_is_not_decided_unread(self) -> None:
        session = self.greenroom.open_session("agent")
        first = session.write("a.txt", "1\n").patches[0]
        second = session.write("a.txt", "2\n")
        self.assertEqual((second.patches[0].id, second.superseded), (first.id, ()))
        self.assertEqual((first.name, second.patches[0].name), ("p1@1", "p1@2"))
        for name in (first.id, first.name):
            with self.subTest(name), self.assertRaises(SignatureMismatch):
                self.greenroom.apply(name)
            with self.subTest(name), self.assertRaises(SignatureMismatch):
                self.greenroom.discard(name)
        other = self.greenroom.open_session("other").write("a.txt", "3\n")
        self.assertEqual(other.also_pending_in, (session.id,))
        self.assertEqual(self.greenroom.status().contested[0].sessions, (session.id, other.session))


class Deciding(WithServer):
    """What reviewers do."""

    def test_an_old_signature_is_refused_with_the_present_one(self) -> None:
        session = self.greenroom.open_session("agent")
        session.write("a.txt", "1\n")
        shown = session.diff()
        session.write("a.txt", "2\n")
        with self.assertRaises(SignatureMismatch) as refused:
            session.apply(expect=shown.signature)
        self.assertEqual(refused.exception.signature, session.diff().signature)
        self.assertFalse((self.project / "a.txt").exists())

    def test_a_stale_patch_is_named_refreshed_and_applied(self) -> None:
        self.put("a.txt", "1\n2\n3\n4\n5\n")
        session = self.greenroom.open_session("agent")
        patch = session.edit("a.txt", "1\n", "one\n").patches[0]
        self.put("a.txt", "1\n2\n3\n4\nfive\n")
        with self.assertRaises(Stale) as stale:
            session.apply()
        self.assertEqual(stale.exception.patches, (patch.id,))
        self.assertEqual([lapsed.id for lapsed in session.diff().lapsed], [patch.id])
        session.refresh()
        session.apply()
        self.assertEqual(self.get("a.txt"), "one\n2\n3\n4\nfive\n")

    def test_an_apply_of_one_name_applies_once(self) -> None:
        session = self.greenroom.open_session("agent")
        session.write("a.txt", "1\n")
        self.assertIsNone(self.greenroom.apply_status("deploy-7"))
        applied = session.apply(request="deploy-7")
        status = self.greenroom.apply_status("deploy-7")
        assert status is not None
        self.assertEqual((status.apply, status.outcome), (applied.apply, "committed"))
        self.assertEqual(session.apply(request="deploy-7").apply, applied.apply)

    def test_an_apply_is_undone_and_redone(self) -> None:
        session = self.greenroom.open_session("agent")
        patch = session.write("a.txt", "1\n").patches[0]
        applied = self.greenroom.apply(patch.id, expect=patch.signature)
        undone = self.greenroom.undo()
        self.assertEqual((undone.undone, undone.pending), (applied.apply, (patch.id,)))
        self.assertFalse((self.project / "a.txt").exists())
        self.assertEqual(self.greenroom.redo(expect=patch.signature).redone, applied.apply)
        shown = self.greenroom.show(patch.id)
        self.assertEqual(shown.patch.state, "applied")
        self.assertEqual([apply.undone_by for apply in shown.applies], [undone.apply, None])

    def test_a_rejection_reaches_the_agent_with_its_reason(self) -> None:
        session = self.greenroom.open_session("agent")
        session.write("a.txt", "1\n")
        with self.greenroom.events() as events:
            rejected = session.discard(reason="not today")
            event = events.get(timeout=60)
        assert event is not None
        self.assertEqual((event.name, event.patch), ("patch_discarded", rejected[0].id))
        self.assertEqual((event.text, event.path), ("not today", "a.txt"))

    def test_a_part_of_an_apply_is_undone(self) -> None:
        session = self.greenroom.open_session("agent")
        patches = [session.write(path, "x\n").patches[0].id for path in ["src/a", "src/b", "docs/c"]]
        applied = session.apply(message="good work")
        undone = self.greenroom.undo(applied.apply, Under("src"), Except(patches[1]))
        self.assertEqual((undone.pending, set(undone.remaining)), ((patches[0],), set(patches[1:])))
        self.assertEqual([file.path for file in undone.files], ["src/a"])
        self.assertEqual((undone.totals.files, undone.outcome), (1, "committed"))
        exists = [(self.project / path).exists() for path in ["src/a", "src/b", "docs/c"]]
        self.assertEqual(exists, [False, True, True])
        undo, apply = self.greenroom.applies()
        self.assertEqual((undo.apply, undo.undoes, undo.totals.files), (undone.apply, applied.apply, 1))
        self.assertEqual((apply.apply, apply.message, apply.undone), (applied.apply, "good work", 1))
        self.assertEqual(self.greenroom.applies(limit=1), (undo,))
        shown = self.greenroom.show_apply(applied.apply or "")
        by_path = {patch.path: patch.undone_by for patch in shown.patches}
        self.assertEqual(by_path, {"src/a": undone.apply, "src/b": None, "docs/c": None})
        self.assertIn(b"+x", shown.diff or b"")
        self.assertIsNone(self.greenroom.show_apply(undone.apply).diff)
        with self.assertRaises(NotFound):
            self.greenroom.show_apply("a99")
        with self.assertRaises(NotFound) as missed:
            self.greenroom.undo(applied.apply, Under("nothing"))
        self.assertIn("nothing", missed.exception.message)
        started = [event for event in self.greenroom.events_since(0) if event.name == "apply_started"]
        self.assertEqual([event.data.get("message") for event in started], ["good work", None])

    def test_a_comment_reaches_the_agent_with_its_line(self) -> None:
        session = self.greenroom.open_session("agent")
        patch = session.write("a.txt", "one\ntwo\n").patches[0]
        with self.assertRaises(Usage):
            session.discard(comments=[Comment("a.txt", 3, "there is none")])
        with self.greenroom.events() as events:
            session.discard(patch.id, reason="names", comments=[Comment("a.txt", 2, "call it 2")])
            event = events.get(timeout=60)
        expected = (LineComment("a.txt", 2, "two", "call it 2"),)
        assert event is not None
        self.assertEqual((event.comments, event.text), (expected, "names"))
        self.assertEqual(self.greenroom.show(patch.id).comments, expected)

    def test_a_session_is_closed_with_a_reason_and_proposes_no_more(self) -> None:
        session = self.greenroom.open_session("agent")
        patch = session.write("a.txt", "1\n").patches[0]
        with self.assertRaises(SignatureMismatch):
            session.close(expect="0" * 64)
        closed = session.close(reason="done", expect=patch.signature)
        self.assertEqual([rejected.id for rejected in closed.rejected], [patch.id])
        self.assertEqual(self.greenroom.show(patch.id).reason_text, "done")
        with self.assertRaises(Closed):
            session.write("a.txt", "2\n")
        self.assertNotEqual(self.greenroom.open_session("agent").id, session.id)

    def test_risks_are_named_by_kind_and_path(self) -> None:
        self.put("run", "x\n")
        session = self.greenroom.open_session("agent")
        session.propose([Delete("run"), Write(".profile", "x\n", mode=0o755)])
        shown = session.diff()
        risks = {risk.kind: [each.path for each in risk.paths] for risk in shown.risks}
        self.assertEqual(risks["deletion"], ["run"])
        self.assertEqual(risks["executable"], [".profile"])
        self.assertEqual(self.greenroom.status().risks, shown.risks)
        of_patch = {risk.kind for patch in shown.patches for risk in patch.diff.risks}
        self.assertEqual(of_patch, set(risks))

    def test_paths_and_exceptions_select_patches(self) -> None:
        session = self.greenroom.open_session("agent")
        for path in ["src/a", "src/b", "docs/c"]:
            session.write(path, "x\n")

        def paths(*ids: greenroom.Selector) -> list[str]:
            return [patch.path for patch in self.greenroom.diff(*ids).patches]

        self.assertEqual(paths(Under("src")), ["src/a", "src/b"])
        self.assertEqual(paths(session.id, Except("p1")), ["docs/c", "src/b"])
        self.assertEqual(paths(Under("src"), Except(Under("src/a"))), ["src/b"])
        self.assertEqual([patch.path for patch in session.diff(Except(Under("src"))).patches], ["docs/c"])
        with self.assertRaises(NotFound):
            paths(Under("nothing"))

    def test_a_full_replacement_is_confirmed(self) -> None:
        self.put("a.bin", "text\n")
        session = self.greenroom.open_session("agent")
        session.write("a.bin", b"\x00\x01")
        with self.assertRaises(ConfirmationMissing):
            session.apply()
        self.assertEqual(session.apply(dry_run=True, confirm_full_replace=True).outcome, "dry_run")
        self.assertEqual(self.get("a.bin"), "text\n")

    def test_in_an_agents_environment_nothing_is_approved(self) -> None:
        server = self.start(CLAUDECODE="1")
        session = server.open_session("agent")
        session.write("a.txt", "1\n")
        signature = session.diff().signature
        for decide in (lambda: session.apply(expect=signature), server.undo, server.redo):
            with self.assertRaises(Refused) as refused:
                decide()
            self.assertIn("claude-code", refused.exception.message)
        self.assertFalse((self.project / "a.txt").exists())
        self.assertEqual(server.info.agent, "claude-code")
        settings = self.directory / ".config/greenroom/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text("allow_yes_under_agents = true\n")
        patch = session.apply(expect=signature).patches[0]
        approval = server.show(patch).applies[0].approval
        self.assertEqual(approval, Approval("library", "claude-code", None))


class Serving(WithServer):
    """The server and its client."""

    def test_threads_and_coroutines_use_one_server(self) -> None:
        sessions = [self.greenroom.open_session(f"agent{number}") for number in range(5)]

        def work(session: greenroom.Session) -> None:
            for turn in range(20):
                session.write(f"{session.label}/{turn}", f"{turn}\n")

        threads = [threading.Thread(target=work, args=[session]) for session in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        async def ask() -> list[dict[str, Any]]:
            futures = [self.greenroom.submit("diff", {"session": session.id}) for session in sessions]
            return list(await asyncio.gather(*map(asyncio.wrap_future, futures)))

        self.assertEqual([len(answer["patches"]) for answer in asyncio.run(ask())], [20] * 5)

    def test_the_calls_of_a_session_are_answered_in_their_order(self) -> None:
        session = self.greenroom.open_session("agent")
        order: list[int] = []
        all_called = threading.Event()

        def called(number: int, _: object) -> None:
            order.append(number)
            if len(order) == 50:
                all_called.set()

        futures = []
        for number in range(50):
            change = Write("a.txt", f"{number}\n").to_json()
            params = {"session": session.id, "proposals": [change]}
            future = self.greenroom.submit("propose", params)
            future.add_done_callback(functools.partial(called, number))
            futures.append(future)
        read = self.greenroom.submit("read", {"session": session.id, "path": "a.txt"})
        self.assertEqual(read.result(60)["text"], "49\n")
        # Callbacks run beside the thread that reads.
        self.assertTrue(all_called.wait(60))
        self.assertEqual(order, list(range(50)))
        self.assertTrue(all(future.done() for future in futures))

    def test_a_slow_reader_misses_no_event(self) -> None:
        session = self.greenroom.open_session("agent")
        with self.greenroom.events(since=0, waiting_max=2) as events:
            for number in range(300):
                session.write(f"{number}.txt", "x\n")
            newest = self.greenroom.events_since(300)[-1].seq
            seen = []
            while events.position < newest:
                event = events.get(timeout=60)
                assert event is not None
                seen.append(event.seq)
        self.assertEqual(seen, list(range(1, newest + 1)))
        # Another subscription goes on where that one ended.
        with self.greenroom.events(since=newest, diffs=True) as events:
            session.write("more.txt", "hello\n")
            event = events.get(timeout=60)
            assert event is not None and event.diff is not None
            self.assertEqual(event.seq, newest + 1)
            self.assertIn(b"+hello\n", event.diff)

    def test_a_closed_server_keeps_what_is_pending(self) -> None:
        session = self.greenroom.open_session("agent")
        patch = session.write("a.txt", "1\n").patches[0]
        self.greenroom.close()
        self.greenroom.close()
        with self.assertRaises(Disconnected):
            session.write("b.txt", "2\n")
        again = self.start()
        resumed = again.open_session(session.id)
        self.assertEqual(resumed.id, session.id)
        self.assertEqual(resumed.apply(expect=patch.signature).patches, (patch.id,))

    def test_a_killed_server_is_reported_to_everybody_who_waits(self) -> None:
        session = self.greenroom.open_session("agent")
        events = self.greenroom.events()
        self.greenroom._connection.process.send_signal(signal.SIGKILL)
        with self.assertRaises(Disconnected):
            while True:
                session.write("a.txt", "1\n")
        # It may have answered some before it died.
        self.assertEqual({event.name for event in events} - {"patch_proposed", "patch_superseded"}, set())
        self.assertIsNone(events.get(timeout=60))

    def test_a_server_that_cannot_start_says_why(self) -> None:
        with self.assertRaises(GreenroomError) as failed:
            Greenroom(self.project, state_dir=self.project / "state", env={"HOME": str(self.directory)})
        self.assertEqual(failed.exception.kind, "refused")
        with self.assertRaises(FileNotFoundError):
            Greenroom(self.project, binary=self.directory / "nothing")

    def test_a_call_that_takes_too_long_is_given_up_and_done(self) -> None:
        session = self.greenroom.open_session("agent")
        session.write("a.txt", "1\n")
        with self.assertRaises(TimeoutError):
            session.apply(request="slow", timeout=0)
        # It is answered in the order of the session.
        session.diff()
        status = self.greenroom.apply_status("slow")
        assert status is not None
        self.assertEqual(status.outcome, "committed")


if __name__ == "__main__":
    unittest.main()
