"""A progress bar for commands: one line that is written over, and nothing at all where nobody looks."""

from __future__ import annotations

import shutil
from typing import Any


class Bar:
    """Shows how far something has come, on a terminal; every tenth as a line elsewhere."""

    def __init__(self, stream: Any, *, quiet: bool = False) -> None:
        self.stream, self.quiet = stream, quiet
        self.is_terminal = bool(getattr(stream, "isatty", lambda: False)())
        self.last = -1
        self.written = False

    def show(self, done: int, most: int, note: str = "") -> None:
        """``done`` of ``most``."""
        if self.quiet:
            return
        if self.is_terminal:
            self._draw(done, most, note)
        elif (tenth := done * 10 // max(most, 1)) > self.last:
            self.last = tenth
            self.stream.write(f"{done} of at most {most} pairs {note}".rstrip())

    def _draw(self, done: int, most: int, note: str) -> None:
        room = max(min(shutil.get_terminal_size((80, 24)).columns - 40, 40), 10)
        filled = room * done // max(most, 1)
        text = f"\r[{'#' * filled}{'.' * (room - filled)}] {done} of at most {most} pairs {note}"[: room + 60]
        self.stream.write(text, ending="")
        self.stream.flush()
        self.written = True

    def close(self) -> None:
        """End the line."""
        if self.written:
            self.stream.write("")
