"""Which process of a distributed training this is, from what its launcher set."""

import os
from collections.abc import Mapping
from typing import NamedTuple


class Place(NamedTuple):
    """local_rank: among the processes of this host; None where the launcher does not say."""

    rank: int = 0
    world_size: int = 1
    local_rank: int | None = None


# (rank, world size, local rank), the first whose rank and size are set and fit each other wins.
LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, accelerate, DeepSpeed
    ("HOROVOD_RANK", "HOROVOD_SIZE", "HOROVOD_LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),  # Open MPI
    ("MV2_COMM_WORLD_RANK", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_LOCAL_RANK"),  # MVAPICH
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),  # MPICH and Intel MPI
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),  # srun
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),
)
# A script that sbatch starts has the variables of the whole allocation and is one process all the same; an
# interactive shell too. Slurm numbers the steps of such scripts from here down.
SLURM_NO_STEP_FROM = 0xFFFFFFF0


def place(environ: Mapping[str, str] = os.environ) -> Place:
    """Rank 0 of 1 for a process of its own, and for values that cannot be."""
    for rank_name, size_name, local_name in LAUNCHERS:
        rank, size = number(environ, rank_name), number(environ, size_name)
        if rank is None or size is None or not 0 <= rank < size:
            continue
        if rank_name == "SLURM_PROCID" and (number(environ, "SLURM_STEP_ID") or 0) >= SLURM_NO_STEP_FROM:
            continue
        local = number(environ, local_name)
        return Place(rank, size, local if local is not None and 0 <= local < size else None)
    return Place()


def rank_and_world(environ: Mapping[str, str] = os.environ) -> tuple[int, int]:
    """(rank, world size); (0, 1) for a process of its own, and for values that cannot be."""
    return place(environ)[:2]


def number(environ: Mapping[str, str], name: str) -> int | None:
    try:
        return int(environ[name])
    except (KeyError, ValueError):
        return None
