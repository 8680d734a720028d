"""Where batches come from: a user's loader, made steerable without changing what it yields.

`LoaderFeed` takes a torch DataLoader over a map-style dataset and cuts the sampler's order into batches
itself, so batch size and number of workers can change between two batches, batches can be given back, and the
place in the order can be saved. Until something changes, it yields exactly what the loader would have, and
draws the same random numbers for it.
`PlainFeed` takes anything else that can be iterated over: it knows only how many batches it gave.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, Protocol

import torch
from torch.utils.data import DataLoader, IterableDataset

from . import randomness


class Feed(Protocol):
    """An endless supply: after the last batch of an epoch comes the first of the next."""

    epoch: int  # the running epoch, from 0
    batch_size: int | None  # None: not ours to change
    workers: int | None
    prefetch: int | None  # batches that each worker prepares ahead
    refused: (
        str  # why workers that were asked for from outside did not do, "" otherwise; the reader clears it
    )

    def next(self) -> tuple[Any, int]:
        """The next batch and its number of samples. Raises StopIteration when there will never be one."""

    def set_batch_size(self, samples: int) -> None: ...

    def set_workers(self, workers: int) -> None: ...

    def set_prefetch(self, batches: int) -> None: ...

    def give_back(self, batches: int) -> bool:
        """Yield the samples of the last `batches` batches again, first of all. False if that cannot be."""

    def generators(self) -> list[torch.Generator]:
        """The random generators of its own that it draws from, beside the global ones."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any], consumed: int | None = None) -> None:
        """Go to a saved place. Leaves the random generators changed: restore them afterwards.

        consumed: another place in the same epoch, in what the state counts.
        """


def feed_for(loader: Any) -> Feed:
    """The feed for what a training script iterates over."""
    if isinstance(loader, DataLoader) and not isinstance(loader.dataset, IterableDataset):
        return LoaderFeed(loader)
    return PlainFeed(loader)


class LoaderFeed:
    def __init__(self, loader: DataLoader[Any]) -> None:
        self.loader = loader
        self.epoch = 0
        self.batch_size: int | None = loader.batch_size
        self.workers: int | None = loader.num_workers
        # Without workers a DataLoader has none; with them it takes 2 where nothing is said.
        self.prefetch: int | None = loader.prefetch_factor or 2
        self.refused = ""
        # A batch sampler of the user's decides itself what makes a batch.
        self._by_batch = loader.batch_size is None and loader.batch_sampler is not None
        self._single = loader.batch_size is None and loader.batch_sampler is None
        self._inner: DataLoader[Any] | None = None
        self._iterator: Iterator[Any] | None = None
        self._order: Iterator[Any] | None = None  # what is left of the epoch's order
        self._ahead: deque[list[Any]] = deque()  # cut, handed to the workers, not yet yielded
        self._given: deque[list[Any]] = deque(maxlen=4096)  # yielded, newest last
        self._consumed = 0  # of the epoch's order: samples, or batches under a batch sampler
        self._random_at_start: randomness.State | None = None

    # -- reading ---------------------------------------------------------------------------------

    def next(self) -> tuple[Any, int]:
        fresh = self._iterator is None and self._order is None
        try:
            if self._iterator is None:
                self._open()
            batch = next(self._iterator)  # type: ignore[arg-type]
        except StopIteration:
            if fresh:
                raise  # an empty loader: the next epoch would be as empty
            self._iterator = self._order = None
            self.epoch += 1
            return self.next()
        except Exception as error:
            # A data set that cannot leave its process, too little shared memory: the script had not asked for these.
            if self.workers == self.loader.num_workers:
                raise
            return self._without_those_workers(error)
        indices = self._ahead.popleft()
        self._given.append(indices)
        self._consumed += 1 if self._by_batch else len(indices)
        return batch, samples_in(batch) if self._single or self._by_batch else len(indices)

    def _without_those_workers(self, error: Exception) -> tuple[Any, int]:
        """Go on with as many as the script had, with every sample that was not yielded."""
        self.refused = f"{self.workers} loader workers: {type(error).__name__}: {str(error)[:500]}"
        self.workers = self.loader.num_workers
        self._reopen()
        return self.next()

    def _open(self) -> None:
        if self._order is None:
            sampler = self.loader.batch_sampler if self._by_batch else self.loader.sampler
            set_epoch = getattr(self.loader.sampler, "set_epoch", None)
            if set_epoch is not None:
                set_epoch(self.epoch)
            self._random_at_start = randomness.capture(self.generators())
            self._consumed = 0
            self._given.clear()
            self._order = deferred(sampler)  # type: ignore[arg-type]
        self._ahead.clear()
        if self._inner is None:
            self._inner = self._build()
        self._iterator = iter(self._inner)

    def _build(self) -> DataLoader[Any]:
        old = self.loader
        workers = int(self.workers or 0)
        options: dict[str, Any] = {
            "num_workers": workers,
            "collate_fn": old.collate_fn,
            "pin_memory": old.pin_memory,
            "timeout": old.timeout if workers else 0,
            "worker_init_fn": old.worker_init_fn,
            "multiprocessing_context": old.multiprocessing_context if workers else None,
            "generator": old.generator,
            "prefetch_factor": self.prefetch if workers else None,
            "persistent_workers": old.persistent_workers and workers > 0,
        }
        if self._single:
            return DataLoader(old.dataset, batch_size=None, sampler=Cuts(self._cut), **options)
        return DataLoader(old.dataset, batch_sampler=Cuts(self._cut), **options)

    def _cut(self) -> Iterator[Any]:
        """Pieces of what is left of the order, noted as they go to the workers."""
        order = self._order
        assert order is not None
        if self._by_batch or self._single:
            for piece in order:
                self._ahead.append(list(piece) if self._by_batch else [piece])
                yield piece
            return
        size = int(self.batch_size or 1)
        while batch := list(islice(order, size)):
            if self.loader.drop_last and len(batch) < size:
                return
            self._ahead.append(batch)
            yield batch

    # -- steering --------------------------------------------------------------------------------

    def set_batch_size(self, samples: int) -> None:
        if self.batch_size is None:
            raise ValueError("this loader's batch sampler decides the batch size; it cannot be changed here")
        if samples != self.batch_size:
            self.batch_size = samples
            self._reopen()

    def set_workers(self, workers: int) -> None:
        if workers != self.workers:
            self.workers = workers
            self._reopen()

    def set_prefetch(self, batches: int) -> None:
        if batches != self.prefetch:
            self.prefetch = batches
            if self.workers:
                self._reopen()

    def give_back(self, batches: int) -> bool:
        if self._by_batch or self._single or len(self._given) < batches:
            return False
        again = [self._given.pop() for _ in range(batches)][::-1]
        self._consumed -= sum(len(batch) for batch in again)
        self._reopen(again)
        return True

    def _reopen(self, first: Iterable[list[Any]] = ()) -> None:
        """Drop the running iterator, its workers with it, and keep every sample that was not yielded."""
        self._inner = self._iterator = None
        if self._order is None:
            return
        pieces = [*first, *self._ahead]
        self._ahead.clear()
        again: Iterable[Any] = pieces if self._by_batch else chain.from_iterable(pieces)
        self._order = chain(again, self._order)

    # -- saving ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        return {
            "kind": "loader",
            "epoch": self.epoch,
            "consumed": self._consumed if self._order is not None else 0,
            "started": self._order is not None,
            "random_at_start": self._random_at_start,
            "replicas": self.replicas,
        }

    @property
    def replicas(self) -> int:
        """Ranks that the sampler deals each epoch's order out to; 0 for one that knows of none."""
        return int(getattr(self.loader.sampler, "num_replicas", 0) or 0)

    def restore(self, state: dict[str, Any], consumed: int | None = None) -> None:
        if state.get("kind") != "loader":
            raise ValueError("the checkpoint was saved with another kind of loader")
        self._inner = self._iterator = self._order = None
        self._ahead.clear()
        self._given.clear()
        self.epoch = state["epoch"]
        if not state["started"]:
            return
        # The order is drawn again from the random state it was first drawn from, and the part that was
        # used is passed over: no sample is read for it. Works for a sampler that never ends, too.
        generators = self.generators()
        randomness.restore(state["random_at_start"], generators)
        set_epoch = getattr(self.loader.sampler, "set_epoch", None)
        if set_epoch is not None:
            set_epoch(self.epoch)
        # A DataLoader draws its workers' seed before the sampler draws its own.
        torch.empty((), dtype=torch.int64).random_(generator=self.loader.generator)
        sampler = self.loader.batch_sampler if self._by_batch else self.loader.sampler
        order: Iterator[Any] = iter(sampler)  # type: ignore[arg-type]
        self._consumed = state["consumed"] if consumed is None else consumed
        deque(islice(order, self._consumed), maxlen=0)
        self._order = order
        self._random_at_start = state["random_at_start"]
        self._open()

    def generators(self) -> list[torch.Generator]:
        owners = (self.loader, self.loader.sampler, self.loader.batch_sampler)
        found = [getattr(owner, "generator", None) for owner in owners]
        return list({id(g): g for g in found if isinstance(g, torch.Generator)}.values())


class Cuts:
    """What a DataLoader asks for its batches of indices; each pass starts `cut` anew."""

    def __init__(self, cut: Any) -> None:
        self._cut = cut

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cut())


def deferred(sampler: Iterable[Any]) -> Iterator[Any]:
    """The sampler's order, not asked for before the first index is: that is when a DataLoader asks too."""
    yield from sampler


class PlainFeed:
    """Any iterable. One that can be iterated over again makes epochs; a generator ends the training."""

    batch_size: int | None = None
    workers: int | None = None
    prefetch: int | None = None
    refused = ""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.epoch = 0
        self._iterator: Iterator[Any] | None = None
        self._consumed = 0
        self._random_at_start: randomness.State | None = None

    def next(self) -> tuple[Any, int]:
        if self._iterator is None:
            self._random_at_start = randomness.capture(self.generators())
            self._iterator = iter(self.batches)
            self._consumed = 0
        try:
            batch = next(self._iterator)
        except StopIteration:
            if self._consumed == 0 or self._iterator is self.batches:
                raise
            self._iterator = None
            self.epoch += 1
            return self.next()
        self._consumed += 1
        return batch, samples_in(batch)

    def set_batch_size(self, samples: int) -> None:
        raise ValueError("the batch size of this kind of loader cannot be changed from outside")

    def set_workers(self, workers: int) -> None:
        raise ValueError("the workers of this kind of loader cannot be changed from outside")

    def set_prefetch(self, batches: int) -> None:
        raise ValueError("the prefetching of this kind of loader cannot be changed from outside")

    def give_back(self, batches: int) -> bool:
        return False

    def state(self) -> dict[str, Any]:
        return {
            "kind": "plain",
            "epoch": self.epoch,
            "consumed": self._consumed,
            "started": self._iterator is not None,
            "random_at_start": self._random_at_start,
        }

    def restore(self, state: dict[str, Any], consumed: int | None = None) -> None:
        """The batches that were used are read again and dropped: there is no other way to their place."""
        if state.get("kind") != "plain":
            raise ValueError("the checkpoint was saved with another kind of loader")
        self._iterator = None
        self.epoch = state["epoch"]
        if not state["started"]:
            return
        randomness.restore(state["random_at_start"], self.generators())
        for _ in range(state["consumed"] if consumed is None else consumed):
            self.next()

    def generators(self) -> list[torch.Generator]:
        generator = getattr(self.batches, "generator", None)
        return [generator] if isinstance(generator, torch.Generator) else []


def samples_in(batch: Any) -> int:
    """The length of the first tensor's first dimension in a batch; 1 where there is none."""
    if isinstance(batch, torch.Tensor):
        return int(batch.shape[0]) if batch.dim() else 1
    if isinstance(batch, dict):
        batch = list(batch.values())
    if isinstance(batch, list | tuple):
        for part in batch:
            if isinstance(part, torch.Tensor | list | tuple | dict):
                return samples_in(part)
    return 1
