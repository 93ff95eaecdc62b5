#!/usr/bin/env python3
"""One conversation of a real agent with Greenroom, a scripted model standing in for the real one.

usage: conversation.py [--greenroom FILE] [AGENT ...]        AGENT: claude-code, codex; both by default

Each agent gets a throw-away home and workspace, the configuration that `greenroom init` writes,
and a model on the loopback interface that asks for the same five things: write a file through
Greenroom, read it back, write it with the agent's own tool, write it from the agent's shell, and
end. No account is needed and nothing leaves the machine but the download of the agents, which npm
keeps in the cache folder. Without npm or the packages it says so in a line and is done.

Only Python's standard library is used. Exits 1 when a check fails.
"""

import argparse
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

PACKAGES = {"claude-code": "@anthropic-ai/claude-code@2.1.197", "codex": "@openai/codex@0.169.0"}
BEFORE, STAGED, DIRECT = "one\n", "two\n", "written past Greenroom\n"
SECONDS_MAX = 180


class Model(http.server.ThreadingHTTPServer):
    """Asks for one tool after the other, and keeps what came of each."""

    def __init__(self, script):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.results, self.asked, self.tools = script, {}, [], set()
        self.lock = threading.Lock()

    def next_step(self, results, tools):
        """The tool to ask for next, by what has been answered; None at the end."""
        with self.lock:
            self.results.update(results)
            self.tools |= tools
            for name, arguments_of in self.script:
                if name not in self.results:
                    if name not in self.asked:
                        self.asked.append(name)
                    return name, arguments_of
            return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(200, "application/json", b"")

    def do_GET(self):
        self.answer(200, "application/json", b'{"models":[],"data":[]}')

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            request = {}
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            self.answer(200, "application/json", b'{"input_tokens":1}')
        elif path.endswith("/messages"):
            self.answer_messages(request)
        elif path.endswith("/responses"):
            self.answer_responses(request)
        else:
            self.answer(404, "application/json", b"{}")

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def events(self, events):
        text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
        self.answer(200, "text/event-stream", text.encode())

    def answer_messages(self, request):
        """Anthropic's messages, as Claude Code asks for them."""
        tools = {tool["name"] for tool in request.get("tools") or []}
        results = {}
        for message in request.get("messages") or []:
            content = message["content"] if isinstance(message["content"], list) else []
            for block in content:
                if block.get("type") == "tool_result":
                    text = json.dumps(block.get("content"))
                    results[block["tool_use_id"]] = (bool(block.get("is_error")), text)
        # Titles and the like are asked for without tools.
        is_main = any("greenroom" in name for name in tools)
        step = self.server.next_step(results, tools) if is_main else None
        if step:
            name, (tool, arguments) = step
            block = {"type": "tool_use", "id": name, "name": tool, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
            reason = "tool_use"
            whole = dict(block, input=arguments)
        else:
            block = {"type": "text", "text": ""}
            delta = {"type": "text_delta", "text": "done"}
            reason = "end_turn"
            whole = {"type": "text", "text": "done"}
        usage = {"input_tokens": 1, "output_tokens": 1}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "scripted",
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage,
        }
        if not request.get("stream"):
            body = dict(message, content=[whole], stop_reason=reason)
            return self.answer(200, "application/json", json.dumps(body).encode())
        self.events([
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": block},
            {"type": "content_block_delta", "index": 0, "delta": delta},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
             "usage": usage},
            {"type": "message_stop"},
        ])

    def answer_responses(self, request):
        """OpenAI's responses, as Codex asks for them."""
        tools, namespaces = {}, {}
        for tool in request.get("tools") or []:
            tools[tool.get("name") or tool["type"]] = tool
            for inner in tool.get("tools") or []:
                namespaces[inner["name"]] = tool["name"]
        results = {}
        for item in request.get("input") or []:
            if item.get("type") in ("function_call_output", "custom_tool_call_output"):
                output = item.get("output")
                text = output if isinstance(output, str) else json.dumps(output)
                results[item["call_id"]] = (False, text)
        step = self.server.next_step(results, set(tools) | set(namespaces))
        if step:
            name, (tool, arguments) = step
            item = {"id": f"fc_{name}", "call_id": name, "status": "completed"}
            if tools.get(tool, {}).get("type") == "custom":
                item |= {"type": "custom_tool_call", "name": tool, "input": arguments["input"]}
            else:
                item |= {"type": "function_call", "name": tool, "arguments": json.dumps(arguments)}
                if tool in namespaces:
                    item["namespace"] = namespaces[tool]
        else:
            text = {"type": "output_text", "text": "done", "annotations": []}
            item = {"id": "msg_1", "type": "message", "role": "assistant", "content": [text]}
        usage = {
            "input_tokens": 1, "output_tokens": 1, "total_tokens": 2,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
        response = {"id": "resp_1", "object": "response", "output": [item], "usage": usage}
        self.events([
            {"type": "response.created", "response": {"id": "resp_1"}},
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": dict(response, status="completed")},
        ])


class Trial:
    """One agent in a home and a workspace of its own."""

    def __init__(self, agent, folder, greenroom, programs):
        self.agent, self.programs, self.failed, self.checks = agent, programs, [], 0
        self.home, self.workspace = folder / "home", folder / "work"
        self.home.mkdir()
        self.workspace.mkdir()
        self.file = self.workspace / "a.txt"
        self.file.write_text(BEFORE)
        path = os.pathsep.join([str(greenroom.parent), str(programs), os.environ["PATH"]])
        self.environment = {
            "HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1",
            "TMPDIR": str(folder),
        }
        self.run(["git", "init", "--quiet", "."])
        self.run(["greenroom", "init", agent, "--yes"])

    def run(self, command, environment=None, check=True):
        ran = subprocess.run(
            command, cwd=self.workspace, env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX,
        )
        if check and ran.returncode != 0:
            raise SystemExit(f"{command} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran

    def check(self, what, holds, details=""):
        self.checks += 1
        print(f"  {'ok' if holds else 'FAILED'}: {what}")
        if not holds:
            self.failed.append(what)
            print(f"      {details}"[:2000])

    def converse(self):
        own_tool, shell, prefix = self.tools()
        script = [
            ("write", (f"{prefix}write_file", {"path": "a.txt", "content": STAGED})),
            ("read", (f"{prefix}read_text_file", {"path": "a.txt"})),
            ("own_tool", own_tool),
            ("shell", shell),
        ]
        model = Model(script)
        threading.Thread(target=model.serve_forever, daemon=True).start()
        try:
            ran = self.start(f"http://127.0.0.1:{model.server_address[1]}")
        finally:
            model.shutdown()
        said = f"{ran.stdout[-800:]}{ran.stderr[-800:]} tools: {sorted(model.tools)}"
        results = model.results
        self.check("the agent ends by itself", ran.returncode == 0, said)
        missing = [name for name, _ in script if name not in results]
        self.check("every step was answered", not missing, f"{missing} {said}")
        answer = lambda name: results.get(name, (True, "nothing"))
        staged = re.search(r"Staged (p[0-9]+) modify a.txt", answer("write")[1])
        self.check("the write is staged", staged, answer("write"))
        self.check("it reads its own write back", "two" in answer("read")[1], answer("read"))
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

    def start(self, address):
        if self.agent == "claude-code":
            # What a person says yes to when Claude Code asks for the first time.
            trusted = {
                "hasTrustDialogAccepted": True, "enabledMcpjsonServers": ["greenroom"],
                "hasCompletedProjectOnboarding": True,
            }
            settings = {
                "hasCompletedOnboarding": True, "projects": {str(self.workspace): trusted},
            }
            (self.home / ".claude.json").write_text(json.dumps(settings))
            environment = {
                "ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "none",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
            }
            return self.run(["claude", "-p", "change a.txt"], environment, check=False)
        config = self.home / ".codex"
        config.mkdir(exist_ok=True)
        # Where the model is, and that the person trusts the project.
        (config / "config.toml").write_text(
            'model = "scripted"\nmodel_provider = "scripted"\n'
            f'[model_providers.scripted]\nname = "scripted"\nbase_url = "{address}/v1"\n'
            'wire_api = "responses"\nrequest_max_retries = 0\n'
            f'[projects."{self.workspace}"]\ntrust_level = "trusted"\n'
        )
        command = ["codex", "exec", "--dangerously-bypass-hook-trust", "change a.txt"]
        return self.run(command, check=False)


def installed(agents):
    """Where the agents' programs are; None, with a line, where they cannot be had."""
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "greenroom" / "agents"
    if not shutil.which("npm"):
        return print("skipped: there is no npm to install the agents with")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}')
    install = ["npm", "install", "--no-audit", "--no-fund", *(PACKAGES[agent] for agent in agents)]
    done = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        return print(f"skipped: npm cannot install them: {done.stderr.strip()[-300:]}")
    # npm leaves out what a package does after it is installed unless it is told otherwise.
    script = folder / "node_modules/@anthropic-ai/claude-code/install.cjs"
    if script.exists():
        subprocess.run(["node", script], check=True, capture_output=True)
    return folder / "node_modules" / ".bin"


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--greenroom", type=pathlib.Path)
    parser.add_argument("agents", nargs="*")
    arguments = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    greenroom = (arguments.greenroom or root / "target/debug/greenroom").resolve()
    agents = arguments.agents or list(PACKAGES)
    if not greenroom.exists():
        parser.error(f"{greenroom} is not there: `cargo build -p greenroom-cli` makes it")
    if unknown := set(agents) - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))} is not known")
    programs = installed(agents)
    if programs is None:
        return 0
    rows, sound = [], True
    for agent in agents:
        print(PACKAGES[agent])
        with tempfile.TemporaryDirectory(prefix="greenroom-agents-") as folder:
            trial = Trial(agent, pathlib.Path(folder).resolve(), greenroom, programs)
            sound &= trial.converse()
            rows.append((PACKAGES[agent], trial.checks - len(trial.failed), trial.checks))
    for name, held, checks in rows:
        print(f"{name:40} {held} of {checks} checks hold")
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
