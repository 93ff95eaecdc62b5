"""What the tests share."""

import os
import tempfile
import unittest
from pathlib import Path

from greenroom import Greenroom


class WithServer(unittest.TestCase):
    """A server over a workspace of its own."""

    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory(prefix="greenroom-test-")
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name).resolve()
        self.project = self.directory / "project"
        self.project.mkdir()
        self.greenroom = self.start()

    def start(self, **variables: str) -> Greenroom:
        """Another server over the same workspace."""
        env = {"PATH": os.environ.get("PATH", ""), "HOME": str(self.directory), **variables}
        started = Greenroom(self.project, state_dir=self.directory / "state", env=env)
        self.addCleanup(started.close)
        return started

    def put(self, path: str, content: str) -> None:
        """Writes a file as the user does."""
        (self.project / path).parent.mkdir(parents=True, exist_ok=True)
        (self.project / path).write_text(content)

    def get(self, path: str) -> str:
        """A file of the workspace."""
        return (self.project / path).read_text()
