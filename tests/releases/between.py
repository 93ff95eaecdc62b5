#!/usr/bin/env python3
"""Takes a tree from one release of a package to another by Greenroom, and back.

usage: between.py [--greenroom FILE] [PACKAGE==OLD..NEW ...]

Three packages from PyPI by default, whose later releases add, change and remove files and whole
directories. What git can say as text is proposed as one patch (`git diff --no-index --no-renames`),
the rest (binary files, modes) file by file. After the apply the tree has to be the new release to
the last empty directory, and after the undo the old one: names, kinds, contents and modes.

Packages are downloaded by pip into a cache folder. Exits 1 when a tree is not as it should be.
"""

import argparse
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile
import time
import zipfile

PACKAGES = ["Django==4.2.16..5.1.2", "setuptools==65.5.0..75.2.0", "pip==21.3.1..24.2"]


def download(cache, name, version):
    """The wheel of a release, unpacked."""
    tree = cache / f"{name}-{version}"
    if not tree.exists():
        wheels = cache / "wheels" / f"{name}-{version}"
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*pip, "--dest", wheels, f"{name}=={version}"], check=True)
        partial = cache / f"{name}-{version}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        with zipfile.ZipFile(next(wheels.iterdir())) as wheel:
            wheel.extractall(partial)
        # Every release has a metadata folder of another name: files move with their directory.
        partial.rename(tree)
    return tree


def listing(root):
    """Every name below a directory: kind, mode, and content."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        if name.parts[0] == ".git":
            continue
        mode = stat.S_IMODE(path.lstat().st_mode)
        if path.is_dir():
            found[str(name)] = ("directory", mode, b"")
        else:
            found[str(name)] = ("file", mode, path.read_bytes())
    return found


def differences(found, expected):
    names = sorted(set(found) | set(expected))
    return [name for name in names if found.get(name) != expected.get(name)]


class Greenroom:
    def __init__(self, binary, folder, workspace):
        self.binary, self.workspace = binary, workspace
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home")}
        (folder / "home").mkdir()

    def run(self, *arguments, **options):
        command = [self.binary, *arguments]
        return subprocess.run(
            command, cwd=self.workspace, env=self.environment, check=True, capture_output=True, **options
        )


def propose(greenroom, old, new, folder):
    """Stages the new release; returns how many files went by patch and how many by themselves."""
    before, after = listing(old), listing(new)
    singly = []
    texts = folder / "texts"
    for side, files in (("a", before), ("b", after)):
        for name, (kind, _, content) in files.items():
            other = (after if side == "a" else before).get(name)
            is_binary = b"\0" in content or (other is not None and b"\0" in other[2])
            if kind == "file" and not is_binary:
                path = texts / side / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            elif kind == "file":
                singly.append(name)
    # The two folders' names are the prefixes then.
    plain = ["--no-renames", "--no-color", "--src-prefix=", "--dst-prefix="]
    diff = ["git", "diff", "--no-index", *plain, "a", "b"]
    patch = subprocess.run(diff, cwd=texts, capture_output=True, check=False).stdout
    files = patch.count(b"\ndiff --git ") + patch.startswith(b"diff --git ")
    greenroom.run("propose", "--patch", "-", "--session", "release", input=patch)
    alone = 0
    for name in sorted(set(singly)):
        if before.get(name) == after.get(name):
            continue
        alone += 1
        if name not in after:
            greenroom.run("propose", name, "--delete", "--session", "release")
        else:
            greenroom.run("propose", name, "--from", new / name, "--session", "release")
    return files, alone


def take(binary, cache, package):
    name, versions = package.split("==")
    old, new = (download(cache, name, version) for version in versions.split(".."))
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        workspace = folder / "workspace"
        shutil.copytree(old, workspace)
        greenroom = Greenroom(binary, folder, workspace)
        files, alone = propose(greenroom, old, new, folder)
        before, after = listing(workspace), listing(new)
        started = time.monotonic()
        greenroom.run("apply", "--yes", "--confirm-full-replace")
        spent = time.monotonic() - started
        wrong = [f"after apply: {path}" for path in differences(listing(workspace), after)]
        started = time.monotonic()
        greenroom.run("undo", "--yes")
        undone = time.monotonic() - started
        wrong += [f"after undo: {path}" for path in differences(listing(workspace), before)]
    directories = [
        sum(1 for path, (kind, *_) in one.items() if kind == "directory" and path not in other)
        for one, other in ((before, after), (after, before))
    ]
    print(
        f"{package}: {files} files by patch and {alone} by themselves, {directories[0]} directories"
        f" removed and {directories[1]} made, apply {spent:.1f} s, undo {undone:.1f} s:"
        f" {len(wrong)} wrong"
    )
    for line in wrong[:10]:
        print(f"  {line}")
    return not wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--greenroom", default="target/release/greenroom")
    parser.add_argument("packages", nargs="*", default=PACKAGES)
    arguments = parser.parse_args()
    home = os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")
    cache = pathlib.Path(home) / "greenroom-tests" / "releases"
    cache.mkdir(parents=True, exist_ok=True)
    binary = str(pathlib.Path(arguments.greenroom).resolve())
    return 0 if all([take(binary, cache, package) for package in arguments.packages]) else 1


if __name__ == "__main__":
    sys.exit(main())
