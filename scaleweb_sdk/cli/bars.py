"""The lines that a run is writing now, at the foot of a terminal: its progress bars, rewritten in their places."""

import os
import shutil
import unicodedata
from typing import TextIO

from scaleweb_sdk.terminal import ESCAPES

MOST_ROWS = 8
WIPE = "\r\x1b[2K"
UP = "\x1b[1A"


class Bars:
    """Of a stream that is a terminal. Elsewhere nothing is shown: a file or a program gets whole lines alone."""

    def __init__(self, stream: TextIO) -> None:
        moves = stream.isatty() and os.environ.get("TERM") != "dumb"
        self.stream = stream if moves else None
        self.shown: list[str] = []

    def show(self, texts: list[str]) -> None:
        """These in the place of those that stood there; without any they are wiped out."""
        if self.stream is None:
            return
        columns, rows = shutil.get_terminal_size()
        # The newest ones, where they are too many for the terminal: what has scrolled out cannot be rewritten.
        fitting = [fitted(text, columns - 1) for text in texts][-min(MOST_ROWS, max(1, rows - 1)) :]
        if fitting != self.shown:
            wiped = f"{WIPE}{UP}" * (len(self.shown) - 1) + WIPE
            self.stream.write(wiped + "\n".join(fitting))
            self.stream.flush()
            self.shown = fitting


def fitted(text: str, columns: int) -> str:
    """Without codes, which would move the cursor elsewhere, and no wider than a row: what wraps is not rewritten."""
    letters, width = [], 0
    for letter in filter(str.isprintable, ESCAPES.sub("", text)):
        width += 0 if unicodedata.combining(letter) else 1 + (unicodedata.east_asian_width(letter) in "WF")
        if width > columns:
            break
        letters.append(letter)
    return "".join(letters)
