"""A small multi-agent orchestrator: five agents change a project at once, a reviewer approves some of
it and rejects the rest, and the user edits a file in between.

``python3 examples/orchestrator.py`` runs it on a project that it makes. It checks everything that it
says, and fails if anything is wrong. It needs the ``greenroom`` command (see ``greenroom.find_binary``).
"""

from __future__ import annotations

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from greenroom import (
    Delete,
    Edit,
    Event,
    Events,
    Greenroom,
    Rename,
    Session,
    SignatureMismatch,
    Stale,
    Write,
)

MODULES = [f"shop/part{number:02}.py" for number in range(1, 13)]

# A file that two agents change, and the user as well.
CONTESTED = "shop/cart.py"

CART = """\
from shop.prices import get_price


def total(items):
    return sum(get_price(item) for item in items)


def is_empty(items):
    return not items


def count(items):
    return len(items)
"""


def main() -> None:
    """Tells the story in a temporary directory."""
    with tempfile.TemporaryDirectory(prefix="greenroom-example-") as directory:
        project = Path(directory).resolve() / "project"
        make_project(project)
        with Greenroom(project, state_dir=project.parent / "state") as greenroom:
            tell(greenroom, project)


def tell(greenroom: Greenroom, project: Path) -> None:
    """The story; the project lies under Greenroom."""
    untouched = files_of(project)

    chapter("Five agents work at once")
    events = greenroom.events(since=0)
    agents = [rename_function, add_types, write_pages, move_script, remove_legacy]
    labels = ["renamer", "typist", "documenter", "mover", "cleaner"]
    sessions = {label: greenroom.open_session(label) for label in labels}
    with ThreadPoolExecutor(len(agents)) as pool:
        # Each agent is a thread; one process of Greenroom serves them all.
        list(pool.map(lambda agent, label: agent(sessions[label]), agents, labels))
    status = greenroom.status()
    check(files_of(project) == untouched, "no proposal touches the workspace")
    print(f"They proposed {len(status.patches)} patches; the workspace is untouched.")
    check([contested.path for contested in status.contested] == [CONTESTED], "two want one file")
    print(f"Two of them want to change {status.contested[0].path}.")

    chapter("The reviewer rejects the documenter's pages")
    reason = "the modules say this themselves"
    rejected = sessions["documenter"].discard(reason=reason)
    given = {event.text for event in heard(events, "patch_discarded", len(rejected))}
    check(given == {reason}, "the agent is given the reason")
    check(files_of(project) == untouched, "the tree is as it was")
    print(f"{len(rejected)} pages are rejected, and the agent hears why: {reason}.")

    chapter("The user edits a file that the renamer wants to change")
    shown = sessions["renamer"].diff()
    print_diff(shown.text, 12)
    edit(project / CONTESTED, "    return not items\n", "    return len(items) == 0\n")
    edited = files_of(project)
    try:
        sessions["renamer"].apply(expect=shown.signature)
    except (Stale, SignatureMismatch) as refused:
        # If the edit was noticed before the approval came, the set is another one already.
        print("The approval is refused, since the file has changed.")
        check(isinstance(refused, SignatureMismatch) or bool(refused.patches), "it names the patch")
    else:
        raise AssertionError("a stale set was applied")
    check(files_of(project) == edited, "nothing was applied, and the user's edit stays")

    chapter("The patch is refreshed, and the reviewer approves by the signature")
    refreshed = sessions["renamer"].refresh()
    check([patch.path for patch in refreshed.patches] == [CONTESTED], "one patch was stale")
    shown = sessions["renamer"].diff()
    applied = sessions["renamer"].apply(expect=shown.signature, request="rename-1")
    known = greenroom.apply_status("rename-1")
    check(known is not None and known.outcome == "committed", "the outcome is known by its name")
    print(f"{len(applied.patches)} patches are applied, whole or not at all.")
    check("price_of(item)" in read(project / CONTESTED), "the agent's change is there")
    check("len(items) == 0" in read(project / CONTESTED), "the user's edit was kept")

    chapter("What the typist made of the same file is merged with that")
    lapsed = sessions["typist"].diff().lapsed
    check([patch.path for patch in lapsed] == [CONTESTED], "it was made from an older file")
    sessions["typist"].refresh()
    print_diff(sessions["typist"].diff().text, 12)

    chapter("Everything else is approved at once, and taken back")
    before = files_of(project)
    shown = greenroom.diff()
    applied = greenroom.apply(expect=shown.signature)
    check((project / "tools/run.py").exists(), "the script was moved")
    check(not (project / "shop/legacy.py").exists(), "the old module is gone")
    undone = greenroom.undo(applied.apply)
    check(files_of(project) == before, "an undo restores every byte")
    print(f"{len(applied.patches)} patches are applied, and undone: {len(undone.pending)} wait again.")
    greenroom.redo(undone.undone, expect=shown.signature)
    check(greenroom.status().patches == (), "nothing is left to decide")
    print("They are applied again, by the same signature.")

    for session in sessions.values():
        session.close()
    log = greenroom.events_since(events.position, 1000)
    rest = [events.get(timeout=60) for _ in log]
    check([event and event.data for event in rest] == [entry.data for entry in log], "every event came")
    print("\nEvery file is what it must be.")


# The agents. What they propose waits; they see their own changes, and nobody else's.


def rename_function(session: Session) -> None:
    """Renames a function wherever it is used, reading each file through the session."""
    for path in ["shop/prices.py", CONTESTED, *MODULES]:
        file = session.read(path)
        session.edit(path, "get_price", "price_of", replace_all=True, base=file.blake3)


def add_types(session: Session) -> None:
    """Adds types to a function, and says so, in one batch."""
    typed = Edit(CONTESTED, "def count(items):", "def count(items: list[str]) -> int:")
    session.propose([typed, Write("shop/py.typed", "")])


def write_pages(session: Session) -> None:
    """Writes a page for each module."""
    for path in MODULES[:4]:
        name = Path(path).stem
        session.write(f"docs/{name}.md", f"# {name}\n\nWhat `{name}` does.\n")


def move_script(session: Session) -> None:
    """Moves a script and makes it a program."""
    session.propose([Rename("run.py", "tools/run.py")])
    session.set_mode("tools/run.py", 0o755)


def remove_legacy(session: Session) -> None:
    """Removes an old module, and the line that mentions it."""
    session.propose([Delete("shop/legacy.py"), Write("README.md", "# shop\n")])


# Helpers of the story.


def make_project(project: Path) -> None:
    """A project with some twenty files."""
    files = {path: f"from shop.prices import get_price\n\nPRICE = get_price({path!r})\n" for path in MODULES}
    files["shop/prices.py"] = "def get_price(item):\n    return len(item)\n"
    files[CONTESTED] = CART
    files["shop/legacy.py"] = "OLD = True\n"
    files["run.py"] = "import shop\n"
    files["README.md"] = "# shop\n\nSee also legacy.py.\n"
    for path, text in files.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text)


def heard(events: Events, name: str, count: int) -> list[Event]:
    """So many events of a name, as they come."""
    found: list[Event] = []
    while len(found) < count:
        event = events.get(timeout=60)
        if event is not None and event.name == name:
            found.append(event)
    return found


def files_of(project: Path) -> dict[str, bytes]:
    """Every file and its content, but for temporary files. Greenroom removes these, and directories with
    nothing else in them, after its answer; `os.walk` skips what has gone."""
    walked = ((Path(folder), name) for folder, _, names in os.walk(project) for name in names)
    files = (folder / name for folder, name in walked if not name.startswith(".greenroom-"))
    return {str(path.relative_to(project)): path.read_bytes() for path in files}


def read(path: Path) -> str:
    """A file's text."""
    return path.read_text()


def edit(path: Path, old: str, new: str) -> None:
    """Edits a file as the user does, past Greenroom."""
    text = path.read_text()
    check(text.count(old) == 1, "the user finds the text")
    path.write_text(text.replace(old, new))


def print_diff(text: str, lines_max: int) -> None:
    """The beginning of a diff."""
    lines = text.splitlines()
    for line in lines[:lines_max]:
        print(f"  | {line}".rstrip())
    if len(lines) > lines_max:
        print(f"  | … {len(lines) - lines_max} more lines")


def chapter(title: str) -> None:
    """A heading."""
    print(f"\n## {title}\n")


def check(holds: bool, claim: str) -> None:
    """Everything that the story says is checked by this."""
    if not holds:
        raise AssertionError(f"it does not hold that {claim}")


if __name__ == "__main__":
    main()
