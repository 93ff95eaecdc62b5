"""A fresh Debian to install packages in: a file system of its own for each package, without a network.

Needs root, for `mmdebstrap` and for mounts. What is written goes to memory and is gone when the process ends.
"""

import fcntl
import hashlib
import os
import pathlib
import pty
import re
import shutil
import stat
import subprocess
import termios

SUITE = "bookworm"
# Python for the wheel, and a library for Node.js; everything else is what every Debian has.
PACKAGES = "libstdc++6,python3-venv"
USER = 1000
HOME = "/home/alice"
PATH = f"{HOME}/.local/bin:/usr/local/bin:/usr/bin:/bin"


class Skipped(Exception):
    """The machine cannot run this, for the reason that the message has."""


def ensure(folder):
    """The directory with the Debian, made when it is not there; seconds on a quiet machine."""
    if os.geteuid() != 0:
        raise Skipped("a fresh Debian is made and mounted by root")
    root = folder / f"root-{SUITE}"
    if not (root / "made").exists():
        if not shutil.which("mmdebstrap"):
            raise Skipped("there is no mmdebstrap")
        shutil.rmtree(root, ignore_errors=True)
        made = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=essential", f"--include={PACKAGES}",
             "--dpkgopt=force-unsafe-io", SUITE, root],
            stderr=subprocess.PIPE, text=True,
        )
        if made.returncode != 0:
            raise Skipped(f"mmdebstrap made no Debian: {made.stderr.strip().splitlines()[-1:]}")
        with open(root / "etc/passwd", "a") as users:
            users.write(f"alice:x:{USER}:{USER}::{HOME}:/bin/bash\n")
        (root / "made").touch()
    return root


class Machine:
    """The Debian with what is written to it since, in the mount namespace of this process."""

    def __init__(self, root, folder):
        self.debian, self.root, self.upper = root, folder / "mounted", folder / "written/upper"
        for place in [self.root, folder / "written"]:
            place.mkdir(parents=True, exist_ok=True)
        self.mount("--make-rprivate", "/")
        self.mount("-t", "tmpfs", "tmpfs", folder / "written")
        self.upper.mkdir()
        work = folder / "written/work"
        work.mkdir()
        layers = f"lowerdir={root},upperdir={self.upper},workdir={work}"
        self.mount("-t", "overlay", "overlay", "-o", layers, self.root)
        self.mount("-t", "proc", "proc", self.root / "proc")
        self.mount("--rbind", "/dev", self.root / "dev")
        self.home = self.root / HOME[1:]
        for name in [".", ".local", "packages", "project"]:
            (self.home / name).mkdir()
            os.chown(self.home / name, USER, USER)

    @staticmethod
    def mount(*arguments):
        mounted = subprocess.run(["mount", *arguments], stderr=subprocess.PIPE, text=True)
        if mounted.returncode != 0:
            raise Skipped(f"this machine does not mount: {mounted.stderr.strip()}")

    def lend(self, folder, place):
        """Shows a directory of the real machine, read-only."""
        (self.root / place[1:]).mkdir(parents=True)
        self.mount("--bind", "-o", "ro", folder, self.root / place[1:])

    def command(self, script, folder, more="", is_root=False):
        user, home = ("0:0", "/root") if is_root else (f"{USER}:{USER}", HOME)
        path = f"{more}:{PATH}:/usr/sbin:/sbin" if is_root else f"{more}:{PATH}"
        environment = [f"HOME={home}", f"PATH={path.lstrip(':')}", "LANG=C.UTF-8", "TERM=xterm"]
        return ["chroot", f"--userspec={user}", self.root, "env", "-i", f"--chdir={folder}", *environment,
                "bash", "-o", "pipefail", "-c", f"umask 022\n{script}\n"]

    def run(self, script, **options):
        """Runs a script of alice or of root; what it prints, standard error last, and its exit code."""
        options.setdefault("folder", HOME)
        ran = subprocess.run(self.command(script, **options), stdin=subprocess.DEVNULL, capture_output=True)
        return (ran.stdout + ran.stderr).decode(errors="replace"), ran.returncode

    def check(self, script, **options):
        printed, code = self.run(script, **options)
        if code != 0:
            raise AssertionError(f"`{script}` fails with {code}:\n{printed}")
        return printed

    def agree(self, command, **options):
        """Runs a command on a terminal, and answers its question with yes."""
        ours, theirs = pty.openpty()

        def take():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        child = subprocess.Popen(
            self.command(command, **options), stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=take
        )
        os.close(theirs)
        printed, is_answered = b"", False
        while True:
            try:
                new = os.read(ours, 4096)
            except OSError:
                new = b""
            if not new:
                break
            printed += new
            if not is_answered and printed.endswith(b"[y/N] "):
                is_answered = True
                os.write(ours, b"y\n")
        os.close(ours)
        return printed.decode(errors="replace").replace("\r\n", "\n"), child.wait()

    def written(self, but):
        """What was written since the machine began and is there now, but for paths that match `but`.

        A deleted file of the Debian counts too: it is a device in the upper directory. A directory of the
        Debian in which something was written is no change of it.
        """
        found = {}
        for folder, names, files in os.walk(self.upper):
            for name in names + files:
                path = pathlib.Path(folder, name)
                place = "/" + str(path.relative_to(self.upper))
                what, lower = describe(path), self.debian / place[1:]
                is_same = path.is_dir() and lower.is_dir() and describe(lower) == what
                if not is_same and not re.fullmatch(but, place):
                    found[place] = what
        return found


def describe(path):
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"link to {os.readlink(path)}"
    if stat.S_ISREG(status.st_mode):
        return f"{status.st_mode:o} {status.st_uid} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"
    return f"{status.st_mode:o} {status.st_uid}"
