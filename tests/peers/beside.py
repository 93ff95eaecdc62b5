#!/usr/bin/env python3
"""Kills, fills and edits under an apply, by Greenroom and by the tools that others apply with.

usage: beside.py [--greenroom FILE] [--files N] [--trials N] [kill] [save] [full] [keep]

Each contestant applies the same change of N text files (default 1,000) in directories of 25:

  kill  SIGKILL at moments that are spread over the run; how many trials left a mix of old and new
  save  somebody saves one of the files (a temporary file and a rename) meanwhile; is it lost?
  full  the disk fills up half-way through 100 files that grow, in a tmpfs of a user namespace
  keep  a one-word change of a file with mode 600, an extended attribute, and two names

Contestants: `greenroom apply`, `git apply`, `git merge --squash`, and `patch -p1`. Prints Markdown
tables and the versions. Exits 1 when Greenroom left a mix or lost a save, or when a contestant's
undisturbed apply was wrong.
"""

import argparse
import collections
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

CONTESTANTS = ["greenroom", "git apply", "git merge --squash", "patch -p1"]
LINES = 160
random.seed(1)


def name_of(number):
    return f"d{number // 25:02}/f{number:04}.txt"


def text_of(number, new, grown=0):
    """8 KiB of text; in the new version every tenth line differs, and `grown` lines are added."""
    lines = [
        f"file {number} line {line} {'new' if new and line % 10 == 0 else 'old'} {'x' * 30}\n"
        for line in range(LINES)
    ]
    return "".join(lines) + "".join(f"grown {line} {'y' * 60}\n" for line in range(grown if new else 0))


class Tree:
    """A git repository of N files, and a change of all of them in each contestant's form."""

    def __init__(self, folder, greenroom, files, grown=0):
        self.folder, self.greenroom, self.grown = folder, greenroom, grown
        self.root, self.state, self.patch = folder / "tree", folder / "state", folder / "change.diff"
        self.names = [name_of(number) for number in range(files)]
        self.root.mkdir()
        self.state.mkdir(mode=0o700)
        self.environment = {
            **os.environ, "HOME": str(folder), "GREENROOM_STATE_DIR": str(self.state),
            "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
        }
        self.old = {name: text_of(at, False) for at, name in enumerate(self.names)}
        self.new = {name: text_of(at, True, grown) for at, name in enumerate(self.names)}
        self.run("git", "init", "--quiet", "--initial-branch=main")
        self.write(self.old)
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message=old")
        self.run("git", "checkout", "--quiet", "-b", "new")
        self.write(self.new)
        self.run("git", "commit", "--quiet", "--all", "--message=new")
        self.patch.write_bytes(self.run("git", "diff", "main", "new").stdout)
        self.run("git", "checkout", "--quiet", "main")

    def run(self, *command, check=True):
        return subprocess.run(command, cwd=self.root, env=self.environment, check=check, capture_output=True)

    def write(self, contents):
        for name, text in contents.items():
            path = self.root / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)

    def reset(self, contestant, prepare=lambda: None):
        """The old tree, prepared, with the change ready to be applied."""
        for leftover in self.root.glob(".git/*.lock"):
            leftover.unlink()
        self.run("git", "reset", "--quiet", "--hard", "main")
        self.run("git", "clean", "--quiet", "-fdx")
        prepare()
        if contestant == "greenroom":
            shutil.rmtree(self.state)
            self.state.mkdir(mode=0o700)
            self.run(self.greenroom, "propose", "--patch", str(self.patch), check=False)

    def start(self, contestant):
        command = {
            "greenroom": [self.greenroom, "apply", "--yes"],
            "git apply": ["git", "apply", str(self.patch)],
            "git merge --squash": ["git", "merge", "--squash", "--quiet", "new"],
            "patch -p1": ["patch", "-p1", "--quiet", "-i", str(self.patch)],
        }[contestant]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        environment = {key: value for key, value in self.environment.items() if key != "CLAUDECODE"}
        return subprocess.Popen(command, cwd=self.root, env=environment, start_new_session=True, **quiet)

    def count(self):
        """How many files are old, new, missing, or anything else."""
        found = collections.Counter()
        for name in self.names:
            path = self.root / name
            text = path.read_text(errors="replace") if path.is_file() else None
            kind = {None: "missing", self.old[name]: "old", self.new[name]: "new"}.get(text, "damaged")
            found[kind] += 1
        return found

    def whole(self):
        found = self.count()
        return found["old"] == len(self.names) or found["new"] == len(self.names)

    def duration(self, contestant):
        self.reset(contestant)
        begun = time.monotonic()
        code = self.start(contestant).wait()
        took = time.monotonic() - begun
        if code != 0 or self.count()["new"] != len(self.names):
            sys.exit(f"{contestant}: exit code {code}, {dict(self.count())} without any disturbance")
        return took


def kill(tree, trials):
    print(f"| killed while applying {len(tree.names):,} files | trials | all old | all new | mixed |"
          " worst: missing or damaged files |\n|---|---|---|---|---|---|")
    failed = False
    for contestant in CONTESTANTS:
        took, ends, worst, mixed_before = tree.duration(contestant), collections.Counter(), 0, 0
        for trial in range(trials):
            tree.reset(contestant)
            process = tree.start(contestant)
            time.sleep(took * (trial + 0.5) / trials)
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
            if contestant == "greenroom":
                mixed_before += not tree.whole()
                tree.run(tree.greenroom, "status")
            found = tree.count()
            ends["old" if found["old"] == len(tree.names) else
                 "new" if found["new"] == len(tree.names) else "mixed"] += 1
            worst = max(worst, found["missing"] + found["damaged"])
        print(f"| {contestant} | {trials} | {ends['old']} | {ends['new']} | **{ends['mixed']}** | {worst} |")
        if contestant == "greenroom":
            print(f"<!-- greenroom: {mixed_before} of these were mixed until the next command -->")
            failed = ends["mixed"] > 0
    return failed


def save(tree, trials):
    print(f"| {trials} saves while {len(tree.names):,} files are applied | still in the file | lost |"
          " applied, refused |\n|---|---|---|---|")
    failed = False
    for contestant in CONTESTANTS:
        took, kept, codes = tree.duration(contestant), 0, collections.Counter()
        for trial in range(trials):
            tree.reset(contestant)
            path = tree.root / random.choice(tree.names)
            mine = f"what I wrote in trial {trial}\n"
            process = tree.start(contestant)
            time.sleep(took * (trial + 0.5) / trials)
            if path.exists():
                beside = path.with_name("saving")
                beside.write_text(path.read_text() + mine)
                beside.replace(path)
            else:
                path.parent.mkdir(exist_ok=True)
                path.write_text(mine)
            codes["applied" if process.wait() == 0 else "refused"] += 1
            kept += path.is_file() and mine in path.read_text()
        print(f"| {contestant} | {kept} | **{trials - kept}** | {codes['applied']}, {codes['refused']} |")
        failed |= contestant == "greenroom" and kept != trials
    return failed


def full(folder, greenroom):
    """In a mount namespace of its own, so that nothing is mounted for anybody else."""
    script = [sys.executable, __file__, "--greenroom", str(greenroom), "--inside", str(folder)]
    command = ["unshare", "--user", "--map-root-user", "--mount", *script]
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], stderr=subprocess.DEVNULL).returncode:
        print("full: skipped, since this machine refuses user namespaces")
        return False
    return subprocess.run(command).returncode != 0


def full_inside(folder, greenroom):
    print("| the disk is full half-way through 100 files | exit code | old | new | missing or damaged |\n"
          "|---|---|---|---|---|")
    failed = False
    for contestant in CONTESTANTS:
        disk = folder / "disk"
        disk.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", disk], check=True)
        (disk / contestant).mkdir()
        tree = Tree(disk / contestant, greenroom, 100, grown=200)
        tree.reset(contestant)
        free = os.statvfs(disk)
        # Room for half of the new files: each grows by 14 KiB and is 22 KiB long.
        leave = 100 * 22 * 1024 // 2
        (disk / "filler").write_bytes(b"\0" * (free.f_bavail * free.f_frsize - leave))
        code = tree.start(contestant).wait()
        found = tree.count()
        print(f"| {contestant} | {code} | {found['old']} | {found['new']} | **{found['missing'] + found['damaged']}** |")
        failed |= contestant == "greenroom" and found["old"] != 100
        subprocess.run(["umount", disk], check=True)
    return failed


def keep(folder, greenroom):
    print("| one word is changed in a file with | mode 600 | an extended attribute | a second name (hard link) |\n"
          "|---|---|---|---|")
    for contestant in CONTESTANTS:
        (folder / contestant).mkdir()
        tree = Tree(folder / contestant, greenroom, 1)
        path, second = tree.root / tree.names[0], tree.folder / "second"

        def applied(prepare):
            """Whether the change is there; it is proposed for a file that was prepared."""
            tree.reset(contestant, prepare)
            tree.start(contestant).wait()
            return path.read_text() == tree.new[tree.names[0]]

        def outcome(is_applied, is_kept):
            return ("kept" if is_kept else "**lost**") if is_applied else "refused"

        mode = outcome(applied(lambda: path.chmod(0o600)), path.stat().st_mode & 0o777 == 0o600)
        is_applied = applied(lambda: os.setxattr(path, "user.note", b"mine"))
        attribute = outcome(is_applied, "user.note" in os.listxattr(path))
        is_applied = applied(lambda: os.link(path, second))
        link = outcome(is_applied, path.samefile(second))
        print(f"| {contestant} | {mode} | {attribute} | {link} |")
    return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--greenroom", type=pathlib.Path, default=pathlib.Path("target/release/greenroom"))
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--inside", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("parts", nargs="*", default=["kill", "save", "full", "keep"])
    options = parser.parse_args()
    greenroom = options.greenroom.resolve()
    if not greenroom.is_file():
        sys.exit(f"{greenroom}: build it first: cargo build --release --package greenroom-cli")
    if options.inside:
        sys.exit(full_inside(options.inside, greenroom))
    for version in ([greenroom, "--version"], ["git", "--version"], ["patch", "--version"]):
        print(subprocess.run(version, capture_output=True, text=True).stdout.splitlines()[0])
    failed = False
    with tempfile.TemporaryDirectory(prefix="beside-") as folder:
        folder = pathlib.Path(folder)
        if {"kill", "save"} & set(options.parts):
            (folder / "large").mkdir()
            tree = Tree(folder / "large", greenroom, options.files)
        for part in options.parts:
            print()
            match part:
                case "kill":
                    failed |= kill(tree, options.trials)
                case "save":
                    failed |= save(tree, options.trials)
                case "full":
                    failed |= full(folder, greenroom)
                case "keep":
                    failed |= keep(folder, greenroom)
                case _:
                    parser.error(f"there is no part `{part}`")
    sys.exit(failed)


if __name__ == "__main__":
    main()
