"""Several ranks of one training serve the same orders at the same step boundary.

Orders come to the first rank alone, by its link. At each boundary all ranks begin to exchange one word: how much the
first one has received, and whether any of them was asked to stop by a signal. The exchange runs beside the next step
and is read at the boundary after it; only when there is something does a second one carry the orders. It has a gloo
group of its own, on the CPU, so it neither waits for a GPU nor mixes with the exchange of gradients.
"""

import datetime
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import torch
import torch.distributed as dist

from scaleweb_sdk.orders import Refused
from scaleweb_sdk.protocol import Order
from scaleweb_sdk.run import Run

T = TypeVar("T")
# A rank may evaluate for hours while the others wait; one that is dead closes its connections at once.
PATIENCE = datetime.timedelta(hours=24)
decode = msgspec.msgpack.Decoder(list[Order]).decode


def agreement_of(run: Run) -> "Agreement | None":
    """The agreement of this training's ranks; None for one that is alone. Every rank must call it."""
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() < 2:
        return None
    return Agreement(run)


class Agreement:
    """One rank's end of it. Each method that says so is called by all ranks at the same point."""

    def __init__(self, run: Run) -> None:
        self.run, self.desk = run, run.desk
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self.group = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._word = torch.zeros(2, dtype=torch.int64)  # bytes of orders, stop
        self._announced: bytes = b""
        self._count = 0
        self._work: Any = None
        self._common: deque[Order] = deque()  # what all ranks have, in the order in which they serve it
        self.desk.agreed = self

    def boundary(self, step: int) -> None:
        """By all ranks: serve what was announced a boundary ago, then announce what has come since."""
        self.run.current_step = step
        while True:
            stop = self._work is not None and self._heard()
            self.desk.serve_now(step, self._common)
            if stop and not self.desk.should_stop:
                self.desk.stop(
                    self.desk.stop_wish or "another of its processes was asked to stop", by_all=True
                )
            if self.desk.should_stop:
                return
            self._announce()
            if not self.desk.paused:
                return
            if self.rank == 0 and not self.desk.inbox:
                self.desk.wait()

    def end(self) -> None:
        """By all ranks, when no boundary follows: what was announced is left to a later one."""
        if self._work is not None:
            self._work.wait()
            self._work = None

    def _announce(self) -> None:
        if self.rank == 0:
            orders = list(self.desk.inbox)
            self._count = len(orders)
            self._announced = msgspec.msgpack.encode(orders) if orders else b""
        else:
            self.desk.inbox.clear()  # the same ones, by this rank's own link
        self._word[0], self._word[1] = len(self._announced), int(bool(self.desk.stop_wish))
        self._work = dist.all_reduce(self._word, dist.ReduceOp.MAX, group=self.group, async_op=True)

    def _heard(self) -> bool:
        """Take what was announced a boundary ago; whether any rank was asked to stop."""
        self._work.wait()
        self._work = None
        size, stop = self._word.tolist()
        if size:
            self._common += self._receive(size)
        return bool(stop)

    def _receive(self, size: int) -> list[Order]:
        if self.rank == 0:
            body = torch.frombuffer(bytearray(self._announced), dtype=torch.uint8)
            for _ in range(self._count):
                self.desk.inbox.popleft()
            self._announced = b""
        else:
            body = torch.empty(size, dtype=torch.uint8)
        dist.broadcast(body, 0, group=self.group)
        return decode(bytes(body.tolist()))

    # -- used by what the orders do ------------------------------------------------------------------

    def refusal(self, message: str) -> str:
        """By all ranks: the first refusal of any of them in words, "" where none refuses."""
        if not self.any(bool(message)):
            return ""
        said = self.gather(message)
        return next(f"rank {rank}: {text}" for rank, text in enumerate(said) if text)

    def any(self, mine: bool) -> bool:
        word = torch.tensor([int(mine)])
        dist.all_reduce(word, dist.ReduceOp.MAX, group=self.group)
        return bool(word.item())

    def gather(self, mine: T) -> list[T]:
        """By all ranks: what each of them has, by rank."""
        found: list[Any] = [None] * self.world_size
        dist.all_gather_object(found, mine, group=self.group)
        return found

    def from_first(self, mine: T) -> T:
        """By all ranks: what the first one has."""
        found: list[Any] = [mine]
        dist.broadcast_object_list(found, 0, group=self.group)
        return found[0]  # type: ignore[no-any-return]


def check_joined(run: Run, agreement: Agreement | None) -> None:
    """Raise Refused where several processes train together that cannot agree on a step: each would act at its own."""
    if run.world_size > 1 and agreement is None:
        raise Refused(
            f"this training has {run.world_size} processes that torch.distributed does not join, so they cannot do "
            "this at one step; call init_process_group before attach"
        )


def together(agreement: Agreement | None, prepare: Callable[[], T]) -> T:
    """What `prepare` gives, where no rank refuses: all do what follows, or none.

    All that may fail on one rank alone belongs into it. Raises what it raises, and Refused for another rank's refusal.
    """
    if agreement is None:
        return prepare()
    refused: Exception | None = None
    value: Any = None
    try:
        value = prepare()
    except Exception as error:  # noqa: BLE001  whatever it is, the others wait to hear of it
        refused = error
    others = agreement.refusal("" if refused is None else str(refused) or type(refused).__name__)
    if refused is not None:
        raise refused
    if others:
        raise Refused(others)
    return value  # type: ignore[no-any-return]
