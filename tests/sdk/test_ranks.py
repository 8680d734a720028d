"""The SDK finds its rank in what each launcher sets, and is alone where nothing says otherwise."""

import pytest

from scaleweb_sdk.ranks import place, rank_and_world


def variables(text):
    return dict(pair.split("=") for pair in text.split())


LAUNCHED = {
    "torchrun": ("RANK=5 WORLD_SIZE=8 LOCAL_RANK=1 LOCAL_WORLD_SIZE=4 GROUP_RANK=1", (5, 8, 1)),
    "accelerate": ("RANK=3 WORLD_SIZE=4 LOCAL_RANK=3 ACCELERATE_MIXED_PRECISION=no", (3, 4, 3)),
    "accelerate on one process": ("ACCELERATE_MIXED_PRECISION=no", (0, 1, None)),
    "DeepSpeed": ("RANK=2 WORLD_SIZE=16 LOCAL_RANK=0 CROSS_RANK=1 LOCAL_SIZE=2", (2, 16, 0)),
    "DeepSpeed over Open MPI": (
        "RANK=6 WORLD_SIZE=8 LOCAL_RANK=2 OMPI_COMM_WORLD_RANK=6 OMPI_COMM_WORLD_SIZE=8", (6, 8, 2)
    ),
    "Horovod": ("HOROVOD_RANK=7 HOROVOD_SIZE=8 HOROVOD_LOCAL_RANK=3 HOROVOD_CROSS_RANK=1", (7, 8, 3)),
    "Open MPI": (
        "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_LOCAL_RANK=1 PMIX_RANK=1", (1, 2, 1)
    ),
    "MPICH": ("PMI_RANK=3 PMI_SIZE=4 PMI_FD=6", (3, 4, None)),
    "Intel MPI": ("PMI_RANK=3 PMI_SIZE=4 MPI_LOCALRANKID=1 MPI_LOCALNRANKS=2", (3, 4, 1)),
    "MVAPICH": ("MV2_COMM_WORLD_RANK=2 MV2_COMM_WORLD_SIZE=4 MV2_COMM_WORLD_LOCAL_RANK=0", (2, 4, 0)),
    "srun": (
        "SLURM_PROCID=9 SLURM_STEP_NUM_TASKS=12 SLURM_NTASKS=16 SLURM_LOCALID=1 SLURM_STEP_ID=0", (9, 12, 1)
    ),
    "older srun": ("SLURM_PROCID=1 SLURM_NTASKS=4 SLURM_LOCALID=1", (1, 4, 1)),
    "a script of sbatch": (
        "SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_LOCALID=0 SLURM_STEP_ID=4294967291", (0, 1, None)
    ),
    "torchrun within Slurm": (
        "RANK=1 WORLD_SIZE=2 LOCAL_RANK=1 SLURM_PROCID=0 SLURM_NTASKS=1 SLURM_LOCALID=0", (1, 2, 1)
    ),
    "nothing": ("", (0, 1, None)),
    "a rank without a size": ("RANK=1", (0, 1, None)),
    "a rank beyond its size": ("RANK=4 WORLD_SIZE=4", (0, 1, None)),
    "words": ("RANK=first WORLD_SIZE=two PMI_RANK=1 PMI_SIZE=2", (1, 2, None)),
    "a local rank that cannot be": ("RANK=1 WORLD_SIZE=2 LOCAL_RANK=7", (1, 2, None)),
}  # fmt: skip


@pytest.mark.parametrize(("environ", "expected"), LAUNCHED.values(), ids=LAUNCHED)
def test_the_rank_is_what_the_launcher_set(environ, expected):
    assert place(variables(environ)) == expected
    assert rank_and_world(variables(environ)) == expected[:2]
