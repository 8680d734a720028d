"""Which process of a distributed training this is, from what its launcher set."""

import os
from collections.abc import Mapping

# (rank, world size), the first pair that is set wins. torchrun also serves accelerate and DeepSpeed.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE"),
    ("HOROVOD_RANK", "HOROVOD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS"),
)


def rank_and_world(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(rank, world size); (0, 1) for a process of its own, and for values that cannot be."""
    for rank_name, size_name in LAUNCHERS:
        try:
            rank, size = int(environ[rank_name]), int(environ[size_name])
        except (KeyError, ValueError):
            continue
        if 0 <= rank < size:
            return rank, size
    return 0, 1
