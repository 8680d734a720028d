"""The run's configuration: a dict that tells the run what is new in it."""

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Self

from .plain import plain
from .protocol import EventKind

if TYPE_CHECKING:
    from .run import Run


class Config(dict[str, Any]):
    """`update` and assignment send what is new."""

    def __init__(self, run: "Run") -> None:
        super().__init__()
        self._run = run

    def __setitem__(self, key: str, value: Any) -> None:
        self.update({key: value})

    def update(self, *args: Any, **kwargs: Any) -> None:
        new = dict(*args, **kwargs)
        super().update(new)
        if new:
            self._run.event(EventKind.CONFIG, {"config": plain(new)})

    def __ior__(self, other: Any) -> Self:  # type: ignore[override,misc]
        self.update(other)
        return self

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __reduce__(self) -> Any:
        # A checkpoint that holds it loads without the run, and with weights_only, which takes no plain `dict` here.
        return OrderedDict, (), None, None, iter(self.items())
