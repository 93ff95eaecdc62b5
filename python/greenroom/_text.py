"""Paths and contents as the protocol writes them."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from typing import Any, Union

PathArgument = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
"""A path relative to the workspace's root."""

_PLAIN = re.compile(r"[^\x00-\x1f\x7f\\\ud800-\udfff]*")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def escape_path(path: PathArgument) -> str:
    r"""The path as the protocol has it: control characters, backslashes and bytes that are not UTF-8
    are written as ``\xNN``."""
    name = os.fspath(path)
    if isinstance(name, str) and _PLAIN.fullmatch(name):
        return name
    raw = os.fsencode(name)
    return "".join(_escaped(character) for character in raw.decode("utf-8", "surrogateescape"))


def _escaped(character: str) -> str:
    if character >= " " and character not in "\\\x7f" and not 0xD800 <= ord(character) <= 0xDFFF:
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))


def unescape_path(escaped: str) -> str:
    """A path of the protocol as ``os.fsdecode`` makes it of its bytes."""
    if "\\" not in escaped:
        return escaped
    raw = _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), escaped.encode())
    return os.fsdecode(raw)


def content_of(content: str | bytes) -> dict[str, str]:
    """Bytes as the protocol takes them."""
    if isinstance(content, str):
        return {"text": content}
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode("ascii")}


def bytes_of(json: Mapping[str, Any]) -> bytes | None:
    """The bytes in an object with ``text`` or ``base64``; None where neither is there."""
    text, encoded = json.get("text"), json.get("base64")
    if text is not None:
        return str(text).encode()
    return None if encoded is None else base64.b64decode(encoded)
