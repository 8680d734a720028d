"""How many devices of which kind each job gets: the assignment with the best weighted sum.

Source: the matrix of goodput per job and configuration is Sia's (Jayaram Subramanya et al., SOSP 2023, section 3.3).
Its integer programme is solved here by prices (Lagrange multipliers found by bisection, one for each kind), a greedy
filling of what is left, and exchanges between two jobs, without a solver: where all can be counted out it is 1 %
below the optimum on average (tests/resources/test_allocate.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .throughput import Floats

Ints = npt.NDArray[np.int64]
NEVER = -1e18
SWEEPS = 3
HALVINGS = 18
MOST_EXCHANGES = 12
WORTH_A_LOOK = 1e-4  # of the whole: exchanges that gain less are not looked for


@dataclass
class Matrix:
    """Per job (row) and configuration (column): worth, devices, and class of place. Column 0 is nothing at all.

    A configuration that a row has not is worth NEVER.
    """

    worth: Floats
    devices: Ints
    place: Ints
    capacity: Ints  # devices, per class of place

    @property
    def rows(self) -> Ints:
        return np.arange(len(self.worth))

    def demand(self, chosen: Ints) -> Ints:
        held = self.devices[self.rows, chosen]
        return np.bincount(self.place[self.rows, chosen], weights=held, minlength=len(self.capacity)).astype(
            np.int64
        )


def choose(matrix: Matrix) -> tuple[Ints, Floats]:
    """(column of each row, price of each class). Never over capacity; the same for the same input."""
    chosen, prices = by_price(matrix)
    drop_excess(matrix, chosen)
    fill(matrix, chosen)
    exchange(matrix, chosen)
    return chosen, prices


def by_price(matrix: Matrix) -> tuple[Ints, Floats]:
    """Each row takes what is worth most to it at prices just high enough that all can be served."""
    prices = np.zeros(len(matrix.capacity))
    # No configuration is worth more a device than this.
    top = float(np.max(matrix.worth / np.maximum(matrix.devices, 1), initial=0.0)) + 1e-9

    def taken() -> Ints:
        cost = prices[matrix.place] * matrix.devices
        found: Ints = np.argmax(matrix.worth - cost, axis=1)
        return found

    chosen = taken()
    for _ in range(SWEEPS):
        for place, room in enumerate(matrix.capacity):
            prices[place] = 0.0
            chosen = taken()
            if matrix.demand(chosen)[place] <= room:
                continue
            low, high = 0.0, top
            for _ in range(HALVINGS):
                prices[place] = (low + high) / 2
                if matrix.demand(taken())[place] > room:
                    low = prices[place]
                else:
                    high = prices[place]
            prices[place] = high
            chosen = taken()
        if bool(np.all(matrix.demand(chosen) <= matrix.capacity)):
            break
    return chosen, prices


def drop_excess(matrix: Matrix, chosen: Ints) -> None:
    """Take from the least worthy where a price alone could not make it fit."""
    rows = matrix.rows
    for place, room in enumerate(matrix.capacity):
        while True:
            here = np.flatnonzero((matrix.place[rows, chosen] == place) & (chosen > 0))
            if matrix.devices[here, chosen[here]].sum() <= room:
                break
            density = matrix.worth[here, chosen[here]] / matrix.devices[here, chosen[here]]
            chosen[here[int(np.argmin(density))]] = 0


def fill(matrix: Matrix, chosen: Ints) -> None:
    """Give what is left to whoever gains most by it, a device's worth at a time."""
    rows = matrix.rows
    free = matrix.capacity - matrix.demand(chosen)
    while True:
        now = matrix.worth[rows, chosen][:, None]
        own = np.where(
            matrix.place == matrix.place[rows, chosen][:, None], matrix.devices[rows, chosen][:, None], 0
        )
        extra = matrix.devices - own
        gain = np.where(extra <= free[matrix.place], matrix.worth - now, 0.0)
        gain[gain < 1e-12] = 0.0
        best = int(np.argmax(gain / np.maximum(extra, 0.5)))
        row, column = divmod(best, matrix.worth.shape[1])
        if gain[row, column] <= 0:
            return
        swap(matrix, chosen, free, row, column)


def swap(matrix: Matrix, chosen: Ints, free: Ints, row: int, column: int) -> None:
    old = chosen[row]
    free[matrix.place[row, old]] += matrix.devices[row, old]
    free[matrix.place[row, column]] -= matrix.devices[row, column]
    chosen[row] = column


def exchange(matrix: Matrix, chosen: Ints) -> None:
    """Let one job have more at the cost of one other, while that is worth more in all."""
    rows = matrix.rows
    free = matrix.capacity - matrix.demand(chosen)
    least = WORTH_A_LOOK * float(matrix.worth[rows, chosen].sum())
    for _ in range(MOST_EXCHANGES):
        best: tuple[float, tuple[int, int], tuple[int, int]] | None = None
        change = matrix.worth - matrix.worth[rows, chosen][:, None]
        held = matrix.devices[rows, chosen][:, None]
        here = matrix.place[rows, chosen][:, None]
        for place in range(len(matrix.capacity)):
            # What a row's move asks of this class: below zero it gives.
            asks = np.where(matrix.place == place, matrix.devices, 0) - np.where(here == place, held, 0)
            # A move into another class must fit into what is free there.
            elsewhere = matrix.devices - np.where(here == matrix.place, held, 0)
            fits = (matrix.place == place) | (elsewhere <= free[matrix.place])
            gives = np.where(fits & (asks < 0) & (change > NEVER / 2), change, NEVER)
            takes = np.where((asks > 0) & (change > 1e-12) & (matrix.place == place), change, NEVER)
            if not bool(np.any(takes > least)):
                continue
            for need in sorted(set(asks[takes > least].tolist())):
                short = int(need - free[place])
                if short <= 0:
                    continue
                giver = first_of(np.where(-asks >= short, gives, NEVER))
                if giver is None:
                    continue
                among = np.where(asks == need, takes, NEVER)
                among[giver[0]] = NEVER
                taker = first_of(among)
                if taker is None:
                    continue
                total = float(change[taker] + change[giver])
                if total > least and total > 0 and (best is None or total > best[0]):
                    best = (total, taker, giver)
        if best is None:
            return
        _, taker, giver = best
        swap(matrix, chosen, free, *giver)
        swap(matrix, chosen, free, *taker)
        fill(matrix, chosen)
        free = matrix.capacity - matrix.demand(chosen)


def first_of(values: Floats) -> tuple[int, int] | None:
    """Where the greatest value is, None where none may be taken."""
    row, column = divmod(int(np.argmax(values)), values.shape[1])
    return (row, column) if values[row, column] > NEVER / 2 else None
