"""Measures proposals from Python: how many a second, and how long one takes.

``python3 benches/propose.py`` starts one server over a temporary workspace with files of 10 KB. Each
agent is a thread with a session of its own, and proposes new content for one file after the other.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from greenroom import Greenroom, Session

FILES = 200


def main() -> None:
    """Prints a line for each number of agents."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--proposals", type=int, default=4000, help="how many of each, 4000 by default")
    parser.add_argument("--bytes", type=int, default=10_000, help="of each file, 10000 by default")
    parser.add_argument("--agents", type=int, nargs="*", default=[1, 5, 8], help="how many at once")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="greenroom-bench-") as directory:
        project = Path(directory).resolve() / "project"
        project.mkdir()
        for number in range(FILES):
            (project / f"file{number:03}.txt").write_text(content(number, 0, arguments.bytes))
        print("agents  a second      p50      p99  longest")
        with Greenroom(project, state_dir=project.parent / "state") as greenroom:
            # A warm server, as a program that runs agents has it.
            measure(greenroom, 1, 200, arguments.bytes)
            for agents in arguments.agents:
                took, each = measure(greenroom, agents, arguments.proposals, arguments.bytes)
                each.sort()
                p50, p99 = statistics.median(each), each[len(each) * 99 // 100]
                figures = "".join(f" {ms * 1000:5.2f} ms" for ms in (p50, p99, each[-1]))
                print(f"{agents:6} {len(each) / took:9.0f}{figures}")


def measure(greenroom: Greenroom, agents: int, proposals: int, length: int) -> tuple[float, list[float]]:
    """The seconds for all proposals, and for each of them."""
    sessions = [greenroom.open_session(f"agent{number}") for number in range(agents)]
    took: list[list[float]] = [[] for _ in sessions]
    begin = threading.Barrier(agents + 1)

    def work(number: int, session: Session) -> None:
        begin.wait()
        for turn in range(proposals // agents):
            name, text = f"file{turn % FILES:03}.txt", content(number, turn + 1, length)
            begun = time.perf_counter()
            session.write(name, text)
            took[number].append(time.perf_counter() - begun)

    threads = [threading.Thread(target=work, args=each) for each in enumerate(sessions)]
    for thread in threads:
        thread.start()
    begin.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    for session in sessions:
        session.close()
    return seconds, [each for all_of_one in took for each in all_of_one]


def content(agent: int, turn: int, length: int) -> str:
    """Lines of text of about this length, one of them new each turn."""
    lines = [f"line {number} of some text that a program might have\n" for number in range(length // 50)]
    lines[turn % len(lines)] = f"agent {agent} wrote this line in turn {turn}\n"
    return "".join(lines)


if __name__ == "__main__":
    main()
