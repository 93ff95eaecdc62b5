"""What documents tell people to run: the blocks of docs/install.md, and the session in README.md."""

import re


def block(text, marker):
    """The block of code after `<!-- marker -->`."""
    found = re.search(rf"^<!-- {re.escape(marker)} -->\n```sh\n(.*?)^```$", text, re.M | re.S)
    if not found:
        raise AssertionError(f"docs/install.md has no block after `<!-- {marker} -->`")
    return found[1]


def steps(text):
    """The commands of the `console` blocks with what they print, and the hidden ones, which print nothing."""
    found, is_console = [], False
    for line in text.splitlines():
        hidden = re.fullmatch(r"<!-- run: (.*) -->", line)
        if line == "```console":
            is_console = True
        elif line == "```":
            is_console = False
        elif hidden and not is_console:
            found.append([hidden[1], None])
        elif is_console and line.startswith("$ "):
            found.append([line[2:], ""])
        elif is_console:
            found[-1][1] += line + "\n"
    return found


def is_as_shown(printed, shown):
    """Whether this was printed, where `…` stands for any text."""
    parts = [re.escape(part) for part in shown.rstrip().split("…")]
    return re.fullmatch(".*".join(parts), printed.rstrip(), re.S) is not None


def run_session(text, machine, folder, path):
    """Runs what a document shows, in order; how many commands."""
    shown, code = 0, 0
    for command, expected in steps(text):
        script = f"(exit {code})\n{command}"
        if expected is None:
            machine.check(command, folder=folder, more=path)
            continue
        if re.search(r"\[y/N\] y$", expected, re.M):
            printed, code = machine.agree(f"{command} --color=never", folder=folder, more=path)
        else:
            printed, code = machine.run(script, folder=folder, more=path)
        shown += 1
        if not is_as_shown(printed, expected):
            raise AssertionError(f"README.md shows of `{command}`:\n{expected}\nit prints:\n{printed}")
    if shown < 8:
        raise AssertionError(f"README.md shows only {shown} commands: are the blocks recognised?")
    return shown
