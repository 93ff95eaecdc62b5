#!/usr/bin/env python3
"""How long `greenroom mcp` takes from its start to the answer of `initialize`, by each way to start it.

usage: start.py --dist DIR [--rounds N]

DIR has what `cargo xtask dist` wrote. The packages are installed offline into a temporary directory, and started in
turn, N times each (default 40), beside a program of Node.js that does nothing and uvx with `true`. Prints a Markdown
table of minimum and median, and of the least processor time, which depends less on what else the machine does. Exits 1
when npm's script takes, by the minimum, 100 ms or more beyond Node.js, or uvx with the command beyond uvx with `true`.

Node.js, npm and uv are those on the PATH; `--node FILE` can be given several times. What is not there is left
out, with a line.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

LIMIT_MS = 100
HELLO = {
    "jsonrpc": "2.0", "id": 1, "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "start", "version": "1"},
    },
}


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--dist", type=pathlib.Path, required=True)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--node", type=pathlib.Path, action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=pathlib.Path.home()) as folder:
        return measure(options, pathlib.Path(folder))


def measure(options, folder):
    project = folder / "project"
    (project / ".git").mkdir(parents=True)
    environment = {**os.environ, "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
    packages = [str(path) for path in options.dist.resolve().iterdir()]
    ways, nodes = {}, options.node or [shutil.which("node")]
    if shutil.which("npm"):
        npm = ["npm", "install", "--offline", "--prefix", folder / "npm"]
        run([*npm, *(name for name in packages if name.endswith(".tgz"))], environment)
        modules = folder / "npm/node_modules"
        ways["the binary"] = [next(modules.glob("greenroom-*/bin/greenroom")), "mcp"]
        for node in filter(None, nodes):
            version = run([node, "--version"], environment).strip()
            ways[f"Node.js {version}, doing nothing"] = [node, "-e", "0"]
            ways[f"npm's script, Node.js {version}"] = [node, modules / "greenroom/bin/greenroom.js", "mcp"]
        ways["npx"] = ["npx", "--offline", "--prefix", folder / "npm", "greenroom", "mcp"]
    else:
        print("left out: there is no npm", file=sys.stderr)
    if shutil.which("uv"):
        wheel = next(name for name in packages if name.endswith(".whl"))
        uv = {"UV_CACHE_DIR": str(folder / "uv"), "UV_TOOL_DIR": str(folder / "tools"), "UV_OFFLINE": "1"}
        environment |= {**uv, "UV_TOOL_BIN_DIR": str(folder / "bin")}
        run(["uv", "tool", "install", wheel], environment)
        ways["installed by uv"] = [folder / "bin/greenroom", "mcp"]
        ways["uvx, doing nothing"] = ["uvx", "--from", wheel, "true"]
        ways["the command by uvx"] = ["uvx", "--from", wheel, "greenroom", "mcp"]
    else:
        print("left out: there is no uv", file=sys.stderr)
    times = {way: [] for way in ways}
    for round_number in range(options.rounds + 1):
        for way, command in ways.items():
            took = start(command, project, environment, is_server="nothing" not in way)
            # The first of each fills caches.
            if round_number:
                times[way].append(took)
    print("| started by | minimum | median | processor time |\n|---|---:|---:|---:|")
    for way, taken in times.items():
        walls, processor = [wall for wall, _ in taken], min(used for _, used in taken)
        print(f"| {way} | {min(walls):.0f} ms | {statistics.median(walls):.0f} ms | {processor:.0f} ms |")
    is_slow = False
    for way, taken in times.items():
        runner = way.removeprefix("npm's script, ").removeprefix("the command by ")
        if runner != way:
            nothing = times[f"{runner}, doing nothing"]
            more = [min(one) - min(other) for one, other in zip(zip(*taken), zip(*nothing))]
            print(f"{way}: {more[0]:.0f} ms beyond {runner}, {more[1]:.0f} ms of processor time", file=sys.stderr)
            is_slow |= more[0] >= LIMIT_MS
    return 1 if is_slow else 0


def run(command, environment):
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    if ran.returncode != 0:
        sys.exit(f"{command[0]} failed: {ran.stderr}")
    return ran.stdout


def start(command, project, environment, is_server):
    """Milliseconds to the answer, or to the end of a program that answers nothing; and of processor time."""
    before, begun = processor_seconds(), time.perf_counter()
    child = subprocess.Popen(
        command, cwd=project, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    if is_server:
        child.stdin.write(json.dumps(HELLO).encode() + b"\n")
        child.stdin.flush()
        answer = json.loads(child.stdout.readline())
        assert answer["result"]["serverInfo"]["name"] == "greenroom", answer
    else:
        child.wait()
    took = (time.perf_counter() - begun) * 1000
    child.stdin.close()
    child.stdout.close()
    child.wait()
    return took, (processor_seconds() - before) * 1000


def processor_seconds():
    """Of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
