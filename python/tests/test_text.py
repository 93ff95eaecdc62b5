"""Paths and contents as the protocol writes them."""

import os
import unittest

from greenroom._text import bytes_of, content_of, escape_path, unescape_path


class Text(unittest.TestCase):
    """What is written reads back."""

    def test_every_path_reads_back_as_it_was(self) -> None:
        for raw in [b"a/b.txt", "häuschen/日本".encode(), b"back\\slash", b"tab\t", b"\xff\xfe", b"\\x41"]:
            escaped = escape_path(raw)
            with self.subTest(escaped):
                self.assertEqual(os.fsencode(unescape_path(escaped)), raw)
                self.assertEqual(escape_path(os.fsdecode(raw)), escaped)

    def test_a_path_is_escaped_as_the_command_does(self) -> None:
        self.assertEqual(escape_path(b"a\\b\n\xff\x7f"), "a\\x5cb\\x0a\\xff\\x7f")
        self.assertEqual(escape_path("häuschen"), "häuschen")

    def test_every_content_reads_back_as_it_was(self) -> None:
        for content in [b"", b"text\n", "häuschen".encode(), b"\x00\xff"]:
            with self.subTest(content):
                self.assertEqual(bytes_of(content_of(content)), content)
