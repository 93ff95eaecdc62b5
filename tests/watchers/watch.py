#!/usr/bin/env python3
"""What real watchers report of files that Greenroom replaces, takes back and creates.

usage: watch.py [--greenroom FILE] [WATCHER ...]        WATCHER: parcel, watchdog; both by default

@parcel/watcher (npm) is what VS Code watches folders with; watchdog (PyPI) is what many Python
tools use. Each watches a throw-away workspace during an apply, an undo, a creation and a deletion.
The last that it reports of a file must be what became of it: a file that was replaced is there.

The packages are installed into the cache folder by npm and pip. Without the tool or the registry a
watcher is left out with a line that says so. Exits 1 when a check fails.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import venv

PACKAGES = {"parcel": "@parcel/watcher@2.6.0", "watchdog": "watchdog==7.1.0"}
SECONDS_MAX = 20

# Each prints `ready` once it watches, then one line for each event: `there NAME` or `gone NAME`.
PARCEL = """
const watcher = require('@parcel/watcher');
const name = (path) => path.split('/').pop();
watcher.subscribe(process.argv[2], (error, events) => {
  if (error) { console.error(error); process.exit(1); }
  for (const event of events) {
    console.log(event.type === 'delete' ? 'gone' : 'there', name(event.path));
  }
}).then(() => console.log('ready'));
"""

WATCHDOG = """
import os, sys, time
from watchdog.events import FileSystemEventHandler
from watchdog.observers import Observer

def say(what, path):
    print(what, os.path.basename(path), flush=True)

class Handler(FileSystemEventHandler):
    def on_created(self, event): say("there", event.src_path)
    def on_modified(self, event):
        if not event.is_directory: say("there", event.src_path)
    def on_deleted(self, event): say("gone", event.src_path)
    def on_moved(self, event):
        say("gone", event.src_path)
        say("there", event.dest_path)

observer = Observer()
observer.schedule(Handler(), sys.argv[1], recursive=True)
observer.start()
print("ready", flush=True)
while True:
    time.sleep(60)
"""


def installed(watcher, cache):
    """The command that runs a watcher; None where it cannot be had."""
    folder = cache / watcher
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if watcher == "parcel":
            if not (folder / "node_modules/@parcel/watcher").exists():
                command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", folder]
                subprocess.run([*command, PACKAGES[watcher]], check=True, capture_output=True)
            script = folder / "watch.js"
            script.write_text(PARCEL)
            return ["node", str(script)]
        python = folder / "bin/python"
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", PACKAGES[watcher]],
            check=True,
            capture_output=True,
        )
        script = folder / "watch.py"
        script.write_text(WATCHDOG)
        return [str(python), "-u", str(script)]
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{watcher}: left out, it cannot be installed: {error}")
        return None


class Watching:
    """A watcher at work, and what it has reported of each name last."""

    def __init__(self, command, folder):
        self.last = {}
        self.changed = threading.Condition()
        self.ready = threading.Event()
        self.process = subprocess.Popen([*command, folder], stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self.read, daemon=True).start()
        if not self.ready.wait(SECONDS_MAX):
            raise RuntimeError("the watcher does not begin")

    def read(self):
        for line in self.process.stdout:
            if line.strip() == "ready":
                self.ready.set()
                continue
            what, name = line.rstrip("\n").split(" ", 1)
            with self.changed:
                self.last[name] = what
                self.changed.notify_all()

    def settled_on(self, name, what, marker):
        """Whether `what` is the last report of a name, once a later event of `marker` is in."""
        marker.write_text("")
        with self.changed:
            self.changed.wait_for(lambda: self.last.get(marker.name), SECONDS_MAX)
            # Watchers that gather events tell those of one time slice in any order.
            self.changed.wait_for(lambda: self.last.get(name) == what, 2)
            return self.last.pop(name, "nothing")

    def end(self):
        self.process.terminate()
        self.process.wait()


def check(watcher, command, greenroom):
    """The faults that were found."""
    faults = []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch).resolve()
        workspace = scratch / "workspace"
        source = workspace / "src"
        source.mkdir(parents=True)
        (source / "changed").write_text("old\n")
        environment = {
            **os.environ,
            "GREENROOM_STATE_DIR": str(scratch / "state"),
            "XDG_CONFIG_HOME": str(scratch / "config"),
            "HOME": str(scratch),
        }

        def run(*words, text=None):
            subprocess.run(
                [greenroom, "--workspace", workspace, *words],
                input=text, text=True, check=True, stdout=subprocess.DEVNULL,
                env=environment, cwd=workspace,
            )

        watching = Watching(command, str(workspace))
        steps = [
            ("apply", "changed", "there", lambda: run("propose", "src/changed", text="new\n")),
            ("undo", "changed", "there", None),
            ("apply", "created", "there", lambda: run("propose", "src/created", text="new\n")),
            ("undo", "created", "gone", None),
            ("apply", "changed", "gone", lambda: run("propose", "src/changed", "--delete")),
            ("undo", "changed", "there", None),
        ]
        try:
            for number, (step, name, expected, propose) in enumerate(steps):
                if propose:
                    propose()
                run(step, *(["--yes"] if step == "apply" else []))
                found = watching.settled_on(name, expected, source / f"marker{number}")
                if found != expected:
                    faults.append(f"{watcher}: {step} of `{name}`: {found}, and not {expected}")
        finally:
            watching.end()
    return faults


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    root = pathlib.Path(__file__).resolve().parents[2]
    arguments.add_argument("--greenroom", default=root / "target/debug/greenroom", type=pathlib.Path)
    arguments.add_argument("watchers", nargs="*", choices=[*PACKAGES, []])
    arguments = arguments.parse_args()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    faults = []
    for watcher in arguments.watchers or PACKAGES:
        command = installed(watcher, cache / "greenroom-watchers")
        if command is None:
            continue
        found = check(watcher, command, arguments.greenroom.resolve())
        print(f"{watcher}: {len(found)} faults")
        faults += found
    print("\n".join(faults))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
