"""Measures what a person waits for, and an agent: status, completions, writes, and a decision.

``python3 benches/habits.py target/release/greenroom`` makes a workspace with 10,000 pending patches of
one session and prints, of each command, the fastest run, the median, and the least processor time that
a run took, which hardly depends on what else the machine does. The whole process is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def main() -> None:
    """Prints a line for each measured command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("greenroom", type=Path, help="the command, of a release build")
    parser.add_argument("--pending", type=int, default=10_000, help="how many patches, 10000 by default")
    parser.add_argument("--runs", type=int, default=60, help="of each command, 60 by default")
    parser.add_argument("--writes", type=int, default=2000, help="over MCP, 2000 by default")
    parser.add_argument("--decisions", type=int, default=200, help="how many are waited for, 200 by default")
    arguments = parser.parse_args()
    binary = str(arguments.greenroom.resolve())
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as directory:
        base = Path(directory).resolve()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": directory,
            "GREENROOM_STATE_DIR": str(base / "state"),
            "PAGER": "cat",
        }
        large, small = base / "large", base / "small"
        for workspace in (large, small):
            workspace.mkdir()
            (workspace / ".git").mkdir()

        def propose(workspace: Path, words: list[str], content: bytes) -> None:
            words = [binary, "propose", *words]
            subprocess.run(words, cwd=workspace, env=environment, check=True, capture_output=True, input=content)

        propose(large, ["--patch", "-", "--session", "agent-1"], patch(arguments.pending))
        propose(small, ["a.txt"], b"x\n")
        print(f"{'command':<52} {'fastest':>9} {'median':>9} {'processor':>9}")
        lines: list[tuple[str, Path, list[str]]] = [
            (f"status, {arguments.pending} pending", large, ["status"]),
            (f"status --short, {arguments.pending} pending", large, ["status", "--short"]),
            (f"completion of `diff `, {arguments.pending} pending", large, ["__complete", "zsh", "2", "greenroom", "diff", ""]),
            (f"completion of `diff p99`, {arguments.pending} pending", large, ["__complete", "zsh", "2", "greenroom", "diff", "p99"]),
            ("status, 1 pending", small, ["status"]),
            ("status --short, 1 pending", small, ["status", "--short"]),
            ("completion of `st`", small, ["__complete", "zsh", "1", "greenroom", "st"]),
            ("--version (nothing is read)", small, ["--version"]),
        ]
        # In turn, so that what else the machine does is spread over all of them.
        took: dict[str, list[tuple[float, float]]] = {name: [] for name, _, _ in lines}
        for _ in range(arguments.runs):
            for name, workspace, words in lines:
                took[name].append(timed([binary, *words], workspace, environment))
        for name, values in took.items():
            wall = [value[0] for value in values]
            processor = min(value[1] for value in values)
            print(f"{name:<52} {min(wall):>6.1f} ms {statistics.median(wall):>6.1f} ms {processor:>6.1f} ms")
        for name, workspace, session in [
            (f"write_file over MCP, {arguments.pending} pending", large, "agent-1"),
            ("write_file over MCP, up to 100 pending", small, "writes"),
        ]:
            wall = sorted(writes(binary, workspace, environment, session, arguments.writes))
            p99 = wall[min(len(wall) - 1, int(len(wall) * 0.99))]
            print(f"{name:<52} {wall[0]:>6.2f} ms {statistics.median(wall):>6.2f} ms, p99 {p99:.2f} ms")
        late = decisions(binary, small, environment, arguments.decisions)
        late.sort()
        p99 = late[min(len(late) - 1, int(len(late) * 0.99))]
        name = "wait_for_decision, after the decision is logged"
        print(f"{name:<52} {late[0]:>6.1f} ms {statistics.median(late):>6.1f} ms, p99 {p99:.1f} ms")


def patch(files: int) -> bytes:
    """A git patch that creates files in a hundred directories."""
    text = []
    for number in range(files):
        path = f"src/module{number % 100:02}/file{number:05}.rs"
        text.append(
            f"diff --git a/{path} b/{path}\nnew file mode 100644\n--- /dev/null\n+++ b/{path}\n"
            f"@@ -0,0 +1,3 @@\n+// file {number}\n+fn f{number}() {{\n+}}\n"
        )
    return "".join(text).encode()


def timed(words: list[str], workspace: Path, environment: dict[str, str]) -> tuple[float, float]:
    """How many milliseconds a command takes, and how many of a processor."""
    begun = time.perf_counter()
    child = subprocess.Popen(words, cwd=workspace, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    took = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"{words} has ended with {child.returncode}")
    return took * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def decisions(binary: str, workspace: Path, environment: dict[str, str], count: int) -> list[float]:
    """How many milliseconds after each decision the waiting agent has its answer."""
    agent = Agent(binary, workspace, environment, "waits")
    late = []
    for turn in range(count):
        path = f"waits{turn}.txt"
        agent.call("write_file", {"path": path, "content": f"{turn}\n"})
        agent.send("tools/call", {"name": "wait_for_decision", "arguments": {"timeout_s": 60}})
        time.sleep(0.05)
        decider = subprocess.Popen(
            [binary, "discard", path, "--reason", "bench"],
            cwd=workspace,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        agent.answer()
        answered = time.time() * 1000
        decider.wait()
        log = subprocess.run(
            [binary, "log", "-n", "1", "--json"], cwd=workspace, env=environment, check=True, capture_output=True
        )
        at = json.loads(log.stdout)["events"][-1]["at"]
        seconds, fraction = at.rstrip("Z").split(".")
        logged = time.mktime(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) - time.timezone
        late.append(max(0.0, answered - logged * 1000 - float(fraction)))
    agent.end()
    return late


def writes(binary: str, workspace: Path, environment: dict[str, str], session: str, count: int) -> list[float]:
    """How many milliseconds each write of 10 KB takes, to one file after the other of 100."""
    agent = Agent(binary, workspace, environment, session)
    took = []
    for turn in range(count):
        content = f"turn {turn}\n" + "a line of some text\n" * 500
        begun = time.perf_counter()
        agent.call("write_file", {"path": f"written{turn % 100:02}.txt", "content": content})
        took.append((time.perf_counter() - begun) * 1000)
    agent.end()
    return took


class Agent:
    """A client of `greenroom mcp`."""

    def __init__(self, binary: str, workspace: Path, environment: dict[str, str], session: str) -> None:
        """Starts the server and greets it."""
        self.server = subprocess.Popen(
            [binary, "mcp", "--session", session],
            cwd=workspace,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.number = 0
        info = {"name": "bench", "version": "1"}
        self.send("initialize", {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info})
        self.answer()
        self.send("notifications/initialized", {}, is_call=False)

    def send(self, method: str, params: dict[str, object], is_call: bool = True) -> None:
        """Sends a message without waiting."""
        message: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params}
        if is_call:
            self.number += 1
            message["id"] = self.number
        print(json.dumps(message), file=self.server.stdin, flush=True)

    def answer(self) -> dict[str, object]:
        """Waits for the answer to the last call."""
        assert self.server.stdout
        while True:
            found = json.loads(self.server.stdout.readline())
            if found.get("id") == self.number:
                result: dict[str, object] = found["result"]
                return result

    def call(self, tool: str, arguments: dict[str, object]) -> None:
        """Calls a tool, which must not fail."""
        self.send("tools/call", {"name": tool, "arguments": arguments})
        answered = self.answer()
        if answered.get("isError"):
            raise SystemExit(f"{tool}: {answered}")

    def end(self) -> None:
        """Ends the input, and waits for the server."""
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait()


if __name__ == "__main__":
    main()
