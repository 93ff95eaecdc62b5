"""Real agents with a scripted model: their installation, their configuration, and a trial of each."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess

PACKAGES = {"claude-code": "@anthropic-ai/claude-code@2.1.197", "codex": "@openai/codex@0.169.0"}
SECONDS_MAX = 180
# As whom root runs the agents, where they are to be an ordinary user's.
USER = 1234


class Trial:
    """One agent in a home and a workspace of its own, and what was found out.

    With a `user`, who is not this process's, everything runs as that user."""

    user = None
    # By a model's name Codex decides which tools it offers.
    codex_model = "scripted"

    def __init__(self, agent, folder, greenroom, programs):
        self.agent, self.folder, self.failed, self.checks = agent, folder, [], 0
        self.home, self.workspace, temporary = folder / "home", folder / "work", folder / "tmp"
        for made in (self.home, self.workspace, temporary):
            made.mkdir()
        path = os.pathsep.join([str(greenroom.parent), str(programs), os.environ["PATH"]])
        self.environment = {
            "HOME": str(self.home), "PATH": path, "LANG": "C.UTF-8", "NO_PROXY": "127.0.0.1",
            "TMPDIR": str(temporary),
        }

    def run(self, command, environment=None, check=True):
        groups = None if self.user is None else []
        ran = subprocess.run(
            command, cwd=self.workspace, env=self.environment | (environment or {}),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS_MAX,
            user=self.user, group=self.user, extra_groups=groups,
        )
        if check and ran.returncode != 0:
            raise SystemExit(f"{command} ended with {ran.returncode}:\n{ran.stdout}{ran.stderr}")
        return ran

    def give(self):
        """Gives the user what this process has written."""
        if self.user is not None:
            subprocess.run(["chown", "-R", f"{self.user}:{self.user}", self.folder], check=True)

    def check(self, what, holds, details=""):
        self.checks += 1
        print(f"  {'ok' if holds else 'FAILED'}: {what}")
        if not holds:
            self.failed.append(what)
            print(f"      {details}"[:2000])

    def row(self, name):
        return f"{name:50} {self.checks - len(self.failed)} of {self.checks} checks hold"

    def configure(self, model, servers=()):
        """Tells the agent where the model is, and that the user trusts the workspace and these MCP
        servers of it. Returns the environment that the agent needs."""
        address = f"http://127.0.0.1:{model.server_address[1]}"
        if self.agent == "claude-code":
            # What a person says yes to when Claude Code asks for the first time.
            trusted = {
                "hasTrustDialogAccepted": True, "enabledMcpjsonServers": list(servers),
                "hasCompletedProjectOnboarding": True,
            }
            settings = {
                "hasCompletedOnboarding": True, "projects": {str(self.workspace): trusted},
            }
            (self.home / ".claude.json").write_text(json.dumps(settings))
            return {
                "ANTHROPIC_BASE_URL": address, "ANTHROPIC_API_KEY": "none",
                "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1",
            }
        config = self.home / ".codex"
        config.mkdir(exist_ok=True)
        (config / "config.toml").write_text(
            f'model = "{self.codex_model}"\nmodel_provider = "scripted"\n'
            f'[model_providers.scripted]\nname = "scripted"\nbase_url = "{address}/v1"\n'
            'wire_api = "responses"\nrequest_max_retries = 0\n'
            f'[projects."{self.workspace}"]\ntrust_level = "trusted"\n'
        )
        return {}


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


def arguments(usage):
    """The command, and the agents to try: what the command line says, or all."""
    parser = argparse.ArgumentParser(usage=usage.split("\n\n")[1].removeprefix("usage: "))
    parser.add_argument("--greenroom", type=pathlib.Path)
    parser.add_argument("agents", nargs="*")
    given = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    greenroom = (given.greenroom or root / "target/debug/greenroom").resolve()
    agents = given.agents or list(PACKAGES)
    if not greenroom.exists():
        parser.error(f"{greenroom} is not there: `cargo build -p greenroom-cli` makes it")
    if unknown := set(agents) - set(PACKAGES):
        parser.error(f"{', '.join(sorted(unknown))} is not known")
    return greenroom, agents
