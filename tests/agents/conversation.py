#!/usr/bin/env python3
"""One conversation of a real agent with Greenroom, a scripted model standing in for the real one.

usage: conversation.py [--greenroom FILE] [AGENT ...]        AGENT: claude-code, codex; both by default

Each agent gets a throw-away home and workspace, the configuration that `greenroom init --with-shell`
writes, and a model on the loopback interface that asks for the same six things: write a file through
Greenroom, read it back, run a command through Greenroom that reads it and writes another, write it with
the agent's own tool, write it from the agent's shell, and end. No account is needed and nothing leaves
the machine but the download of the agents, which npm keeps in the cache folder. Without npm or the packages it says so in a line and is done.

Only Python's standard library is used. Exits 1 when a check fails.
"""

import pathlib
import re
import sys
import tempfile

import agents
import scripted_model

BEFORE, STAGED, DIRECT = "one\n", "two\n", "written past Greenroom\n"


class Trial(agents.Trial):
    """An agent whose settings are those that `greenroom init` makes."""

    def __init__(self, agent, folder, greenroom, programs):
        super().__init__(agent, folder, greenroom, programs)
        self.file = self.workspace / "a.txt"
        self.file.write_text(BEFORE)
        self.run(["git", "init", "--quiet", "."])
        self.run(["greenroom", "init", agent, "--with-shell", "--yes"])

    def converse(self):
        own_tool, shell, prefix = self.tools()
        script = [
            ("write", (f"{prefix}write_file", {"path": "a.txt", "content": STAGED})),
            ("read", (f"{prefix}read_text_file", {"path": "a.txt"})),
            ("command", (f"{prefix}run_command", {"command": "cat a.txt; echo made > b.txt"})),
            ("own_tool", own_tool),
            ("shell", shell),
        ]
        with scripted_model.serving(script) as model:
            ran = self.start(model)
        said = f"{ran.stdout[-800:]}{ran.stderr[-800:]} tools: {sorted(model.tools)}"
        results = model.results
        self.check("the agent ends by itself", ran.returncode == 0, said)
        missing = [name for name, _ in script if name not in results]
        self.check("every step was answered", not missing, f"{missing} {said}")
        answer = lambda name: results.get(name, (True, "nothing"))
        staged = re.search(r"Staged (p[0-9]+) modify a.txt", answer("write")[1])
        self.check("the write is staged", staged, answer("write"))
        self.check("it reads its own write back", "two" in answer("read")[1], answer("read"))
        command = answer("command")
        self.check("its command sees the write", "two" in command[1], command)
        self.check("what the command writes is staged", "b.txt" in command[1], command)
        self.check("the disk is unchanged", self.file.read_text() == BEFORE, self.file.read_text())
        for name in ("own_tool", "shell"):
            print(f"      {name}: {answer(name)[1][:160]}")
        if staged:
            self.run(["greenroom", "apply", staged[1], "--yes"])
        self.check("the user applies, the disk is changed", self.file.read_text() == STAGED)
        others = [path.name for path in self.workspace.iterdir() if not path.name.startswith(".")]
        self.check("and nothing else is there", others == ["a.txt"], others)
        return not self.failed

    def tools(self):
        if self.agent == "claude-code":
            direct = {"file_path": str(self.file), "content": DIRECT}
            command = {"command": f"printf '{DIRECT.strip()}' > a.txt", "description": "write"}
            return ("Write", direct), ("Bash", command), "mcp__greenroom__"
        patch = f"*** Begin Patch\n*** Update File: a.txt\n@@\n-{BEFORE}+{DIRECT}*** End Patch\n"
        command = {"cmd": f"printf '{DIRECT.strip()}' > a.txt"}
        return ("apply_patch", {"input": patch}), ("exec_command", command), ""

    def start(self, model):
        environment = self.configure(model, servers=["greenroom"])
        command = ["codex", "exec", "--dangerously-bypass-hook-trust"]
        if self.agent == "claude-code":
            command = ["claude", "-p"]
        return self.run([*command, "change a.txt"], environment, check=False)


def main():
    greenroom, names = agents.arguments(__doc__)
    programs = agents.installed(names)
    if programs is None:
        return 0
    rows, sound = [], True
    for name in names:
        print(agents.PACKAGES[name])
        with tempfile.TemporaryDirectory(prefix="greenroom-agents-") as folder:
            trial = Trial(name, pathlib.Path(folder).resolve(), greenroom, programs)
            sound &= trial.converse()
            rows.append(trial.row(agents.PACKAGES[name]))
    print(*rows, sep="\n")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
