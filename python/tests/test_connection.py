"""The connection to the server, when something goes wrong with it."""

import contextlib
import os
import select
import shlex
import signal
import sys
import threading
import time
import unittest
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Optional

from greenroom import Disconnected, Event, Greenroom, Limit, Under, Usage, Write

from .support import WithServer

LONG = "x" * (1 << 20)
"""More than a pipe holds."""


class Stopping(WithServer):
    """A server that reads nothing for a while."""

    def process(self) -> int:
        """The server's process."""
        return self.greenroom._connection.process.pid

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stops the server, as a machine without memory might."""
        os.kill(self.process(), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process(), signal.SIGCONT)

    def test_a_time_limit_bounds_the_sending_of_a_call(self) -> None:
        session = self.greenroom.open_session("agent")

        def write(path: str) -> None:
            params = {"session": session.id, "proposals": [Write(path, LONG).to_json()]}
            self.greenroom.call("propose", params, timeout=0.1)

        with self.stopped():
            with self.assertRaises(TimeoutError):
                write("half.txt")
            for _ in range(2):
                with self.assertRaisesRegex(TimeoutError, "could not be sent"):
                    write("other.txt")
        # The call of which a part was sent is whole, and those of which nothing was are not done.
        self.assertEqual(session.read("half.txt").text, LONG)
        self.assertEqual([patch.path for patch in session.diff().patches], ["half.txt"])

    def test_a_call_that_was_interrupted_is_followed_by_no_other(self) -> None:
        session = self.greenroom.open_session("agent")
        session.write("before.txt", "x\n")

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        poll = select.poll()
        poll.register(self.greenroom._connection._input, select.POLLOUT)

        def interrupt_in_the_middle() -> None:
            while poll.poll(0):
                time.sleep(0.001)
            os.kill(os.getpid(), signal.SIGALRM)

        before = signal.signal(signal.SIGALRM, interrupt)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        with self.stopped():
            threading.Thread(target=interrupt_in_the_middle).start()
            with self.assertRaises(KeyboardInterrupt):
                session.write("half.txt", LONG)
            with self.assertRaises(Disconnected):
                session.write("after.txt", "x\n")
        self.greenroom.close()
        again = self.start().open_session("agent")
        self.assertEqual([patch.path for patch in again.diff().patches], ["before.txt"])

    def test_a_time_limit_bounds_the_reading_of_events_from_the_log(self) -> None:
        session = self.greenroom.open_session("agent")
        with self.greenroom.events(waiting_max=1) as events:
            for number in range(3):
                session.write(f"{number}.txt", "x\n")
            with events._changed:
                self.assertTrue(events._changed.wait_for(lambda: events._has_lost, 60))
            # It is in memory; the next one is not.
            first = events.get(timeout=60)
            with self.stopped(), self.assertRaises(TimeoutError):
                events.get(timeout=0.1)
            rest = [events.get(timeout=60) for _ in range(2)]
        paths = [event.path for event in [first, *rest] if event is not None]
        self.assertEqual(paths, ["0.txt", "1.txt", "2.txt"])

    def test_a_time_limit_is_that_of_all_waiting(self) -> None:
        with self.greenroom.events() as events:
            # What wakes it and was taken before, as from the log, does not begin the time anew.
            ended, taken = threading.Event(), Event(0, "", "", {})

            def wake() -> None:
                while not ended.wait(0.02):
                    events._add(taken)

            waker = threading.Thread(target=wake)
            waker.start()
            with self.assertRaises(TimeoutError):
                events.get(timeout=0.2)
            ended.set()
            waker.join()

    def test_closing_waits_for_callbacks_one_of_which_may_close(self) -> None:
        found: list[str] = []

        def fail(_: object) -> None:
            raise ValueError("of a callback")

        with self.assertLogs("greenroom"):
            with self.stopped():
                future = self.greenroom.submit("status")
                future.add_done_callback(fail)
                future.add_done_callback(lambda _: self.greenroom.close())
                future.add_done_callback(lambda _: found.append("one"))
                self.greenroom.submit("status").add_done_callback(lambda _: found.append("another"))
            self.greenroom.close()
        # Calls without a session are answered in any order.
        self.assertEqual(sorted(found), ["another", "one"])


class Calling(WithServer):
    """Calls in places where they are easily wrong."""

    def test_a_callback_may_call_and_wait(self) -> None:
        session = self.greenroom.open_session("agent")
        found: list[object] = []
        done = threading.Event()

        def callback(_: object) -> None:
            found.append(session.write("a.txt", "x\n").patches[0].path)
            found.append(self.greenroom.submit("status").result(60)["workspace"])
            # Of one that is done already, too.
            again = self.greenroom.submit("hello")
            again.result(60)
            again.add_done_callback(lambda future: found.append(future.result()["protocol"]))
            done.set()

        self.greenroom.submit("hello").add_done_callback(callback)
        self.assertTrue(done.wait(60), "the callback has come to its end")
        self.assertEqual(found, ["a.txt", str(self.project), 1])

    def test_what_json_cannot_express_is_not_sent(self) -> None:
        for number in (float("nan"), float("inf")):
            with self.assertRaises(ValueError):
                self.greenroom.call("events", {"since": number})
        session = self.greenroom.open_session("agent")
        with self.assertRaises(UnicodeEncodeError):
            session.write("a.txt", "\ud800")
        self.assertEqual(session.diff().patches, ())

    def test_a_list_of_parameters_is_refused(self) -> None:
        with self.assertRaises(Usage):
            self.greenroom.call("open_session", ["agent"])  # type: ignore[arg-type]

    def test_a_forked_process_neither_calls_nor_holds_the_server(self) -> None:
        session = self.greenroom.open_session("agent")
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            # The parent's threads are not here, so that an answer would never come.
            code = 1
            with contextlib.suppress(BaseException):
                try:
                    session.write("a.txt", "x\n")
                except Disconnected:
                    code = 0
                os.close(write)
                os.read(read, 1)
            os._exit(code)
        os.close(read)
        try:
            # The child holds the pipe, and does not end.
            self.greenroom.close()
            self.assertIsNotNone(self.greenroom._connection.process.returncode)
        finally:
            os.close(write)
            _, status = os.waitpid(child, 0)
        self.assertEqual(os.WEXITSTATUS(status), 0)


FAKE = """\
import json, sys, time

def say(**message):
    print(json.dumps({{"jsonrpc": "2.0", **message}}), flush=True)

for line in sys.stdin:
    call = json.loads(line)
    method, number = call["method"], call["id"]
    if method == "hello":
        say(id=number, result={hello})
    elif method == "subscribe":
        say(id=number, result={{"subscription": 1, "since": 4}})
    else:
{body}
"""

HELLO: dict[str, Any] = {
    "version": "0",
    "protocol": 1,
    "workspace": "/",
    "methods": [],
    "line_bytes_max": 1000,
    "calls_in_flight_max": 1,
    "agent": None,
}


class Faking(WithServer):
    """A server that speaks the protocol wrongly, or that says what a real one rarely does."""

    def fake(self, body: str, hello: Optional[dict[str, Any]] = None) -> Greenroom:
        """A server that does this with every call."""
        script = self.directory / "fake"
        lines = "\n".join(f"        {line}" for line in body.splitlines())
        program = self.directory / "fake.py"
        program.write_text(FAKE.format(hello=hello or HELLO, body=lines))
        # The interpreter's path may have blanks in it, which the line of an interpreter cannot.
        script.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(program))}\n")
        script.chmod(0o755)
        started = Greenroom(binary=script)
        self.addCleanup(started.close)
        return started

    def test_whatever_the_server_sends_nobody_waits_for_ever(self) -> None:
        for sends in (
            "print('no json', flush=True)",
            "print('[]', flush=True)",
            "print('{}', flush=True)",
            "say(method='event')",
            "say(method='event', params=[])",
            "say(method='event', params={'subscription': 1, 'event': {}})",
            "say(id=[], result={})",
            "say(id=None, error=[])",
            "sys.exit()",
        ):
            with self.subTest(sends):
                server = self.fake(sends)
                events = server.events()
                first = server.submit("wait")
                why = "has ended" if sends == "sys.exit()" else "cannot be read"
                with self.assertRaisesRegex(Disconnected, why):
                    server.call("status", timeout=60)
                with self.assertRaisesRegex(Disconnected, why):
                    first.result(60)
                self.assertIsNone(events.get(timeout=60))
                with self.assertRaises(Disconnected):
                    server.status()
                server.close()

    def test_an_answer_that_cannot_be_read_is_an_error_of_its_call(self) -> None:
        server = self.fake("say(id=number, error=[])")
        future = server.submit("status")
        self.assertIsInstance(future.exception(60), Exception)
        with self.assertRaises(AttributeError):
            server.call("status", timeout=60)
        self.assertEqual(server.call("hello", timeout=60)["protocol"], 1)

    def test_every_thread_is_given_its_own_answer(self) -> None:
        # An answer alone, behind one that nobody waits for, longer than what is read at once, and in pieces.
        for sends in (
            "say(id=number, result={'is': call['params']['this']})",
            "say(id=-1, result={})\nsay(id=number, result={'is': call['params']['this']})",
            f"say(id=number, result={{'is': call['params']['this'], 'more': '{LONG[:100_000]}'}})",
            "text = json.dumps({'id': number, 'result': {'is': call['params']['this']}})\n"
            "print(text[:9], end='', flush=True)\ntime.sleep(0.001)\nprint(text[9:], flush=True)",
        ):
            with self.subTest(sends[:40]):
                server = self.fake(sends)

                def ask(thread: int, server: Greenroom = server) -> list[int]:
                    asked = range(thread * 100, thread * 100 + 50)
                    return [n for n in asked if server.call("status", {"this": n}, timeout=60)["is"] != n]

                with ThreadPoolExecutor(4) as threads:
                    self.assertEqual(list(threads.map(ask, range(4))), [[]] * 4)
                self.assertEqual(ask(0), [])
                later = server.submit("status", {"this": 1})
                self.assertEqual(ask(0), [])
                self.assertEqual(later.result(60)["is"], 1)
                server.close()

    def test_an_answer_that_comes_too_late_is_not_that_of_the_next_call(self) -> None:
        server = self.fake("time.sleep(0.2)\nsay(id=number, result={'is': call['params']['this']})")

        def ask(this: int, timeout: float) -> int:
            answer: int = server.call("status", {"this": this}, timeout=timeout)["is"]
            return answer

        with self.assertRaises(TimeoutError):
            ask(1, 0.05)
        self.assertEqual(ask(2, 60), 2)

    def test_a_subscription_that_the_server_ends_says_why(self) -> None:
        error = {
            "code": -32000,
            "message": "gone",
            "data": {"kind": "store", "message": "gone", "path": None},
        }
        server = self.fake(
            "event = {'seq': 5, 'at': '', 'event': 'x'}\n"
            "say(method='event', params={'subscription': 1, 'event': event})\n"
            "say(method='of_a_later_version', params={})\n"
            f"say(method='subscription_ended', params={{'subscription': 1, 'error': {error}}})\n"
            "say(id=number, result={})"
        )
        events = server.events()
        server.call("status", timeout=60)
        self.assertEqual(next(events).seq, 5)
        for _ in range(2):
            with self.assertRaisesRegex(Exception, "gone"):
                events.get(timeout=60)
        self.assertEqual(events.position, 5)
        events.close()
        self.assertIsNone(events.get(timeout=60))

    def test_a_server_of_another_protocol_is_ended(self) -> None:
        with self.assertRaisesRegex(Exception, "protocol 2"):
            self.fake("pass", {**HELLO, "protocol": 2})

    def test_a_call_longer_than_the_server_reads_is_not_sent(self) -> None:
        server = self.fake("say(id=number, result={})")
        with self.assertRaises(Limit):
            server.diff(Under("x" * 1000))
        self.assertEqual(server.call("status", timeout=60), {})


if __name__ == "__main__":
    unittest.main()
