"""What a script calls. Each copies what it was given and returns; a thread of its own does the rest."""

import logging
from pathlib import Path
from typing import Any

from scaleweb_sdk.points import as_step, shown

from . import freeze
from .desk import Desk, Order

logger = logging.getLogger("scaleweb")


class MediaCalls:
    """The part of `Run` that logs more than numbers. None of it raises, or waits for a disk or the server.

    step: the current one when not given. caption: a line under it, one or as many as there are items.
    """

    current_step: int
    branch: int
    finished: bool
    media: "Desk | None" = None

    def log_image(self, key: str, value: Any, step: int | None = None, caption: str | list[str] = "") -> None:
        """An image or a list of them: an array or tensor (H x W, H x W x C, C x H x W; 0..255, or floats in 0..1), a
        PIL image, a matplotlib figure, or PNG, JPEG, GIF or WebP as bytes or a path."""
        self._media("image", key, value, step, caption)

    def log_audio(
        self, key: str, value: Any, rate: int = 0, step: int | None = None, caption: str | list[str] = ""
    ) -> None:
        """Sound or a list of it: samples in -1..1 or int16 (n, or n x channels) with their rate in hertz, or WAV, FLAC,
        Ogg or MP3 as bytes or a path."""
        self._media("audio", key, value, step, caption, rate=rate)

    def log_table(
        self,
        key: str,
        rows: Any,
        columns: list[str] | None = None,
        step: int | None = None,
        caption: str = "",
    ) -> None:
        """A table: rows with names of columns, maps by column, or a data frame. The first 10,000 rows are kept."""
        self._media("table", key, rows, step, caption, columns=columns)

    def log_histogram(
        self, key: str, values: Any, step: int | None = None, bins: int = 64, edges: Any = None
    ) -> None:
        """How values are distributed: an array, tensor or list; or with `edges` the counts between them."""
        self._media("histogram", key, values, step, "", bins=bins, edges=edges)

    def log_text(self, key: str, text: str, step: int | None = None, caption: str = "") -> None:
        """Text, such as what a model wrote."""
        self._media("text", key, text, step, caption)

    def log_file(self, path: str | Path, key: str = "", step: int | None = None, caption: str = "") -> None:
        """A file as it is now, for download. It is copied by the thread: leave it until the run is finished."""
        self._media("file", key or Path(path).name, path, step, caption)

    def _media(
        self, kind: str, key: Any, value: Any, step: Any, caption: str | list[str], **how: Any
    ) -> None:
        if self.finished:
            return
        desk = self.media
        if desk is None:
            desk = self.media = Desk(self)
        try:
            at = self.current_step if step is None else as_step(step)
            if at is None:
                return desk.complain(
                    kind, f"log_{kind}({shown(key)}) at step {shown(step)}: expected a whole number"
                )
            wrong = freeze.fault_of_key(key)
            if wrong:
                return desk.complain(f"{kind} key", f"log_{kind}({shown(key)}): {wrong}")
            several = (
                kind in {"image", "audio"} and isinstance(value, list | tuple) and freeze.is_several(value)
            )
            for place, each in enumerate(value if several else [value]):
                words = caption[place : place + 1] if isinstance(caption, list) else [caption]
                order = Order(
                    kind, str(key), at, self.branch, place, str(words[0])[:500] if words else "", how
                )
                frozen, size = freeze.freeze(kind, each, how)
                desk.put(order, frozen, size)
        except Exception as error:  # noqa: BLE001  whatever a user's type does when it is looked at
            desk.complain(f"{kind} {key!r:.100}", f"log_{kind}({shown(key)}): {error}")
