"""A new run that goes on from a checkpoint of an older one, as a job like that one's."""

from typing import Any

from django.db import transaction

from training.models import Checkpoint, Job, Run, RunEvent
from training.pinning import hold
from training.states import IllegalMove

from .submit import submit

LIKE = (
    "cwd", "working_copy", "git", "device_kind", "device_name", "device_memory_bytes", "memory_bytes", "node_labels",
    "min_devices", "max_devices", "launcher", "max_nodes", "keep", "priority", "preemptible", "max_retries",
)  # fmt: skip


def fork(
    checkpoint: Checkpoint,
    *,
    name: str = "",
    argv: list[str] | None = None,
    env: dict[str, str | None] | None = None,
    config: dict[str, Any] | None = None,
    user: Any = None,
    **other: Any,
) -> Job:
    """Queue a run whose first attempt begins from the checkpoint; what is not given is as in the old run's job.

    env, config: changes on top of the old ones; a variable that is None is left out. other: fields of LIKE. The
    checkpoint is pinned: the old run's keep rule leaves it alone. The file is verified on the node, against the size
    and hash that were saved. Raises IllegalMove for a checkpoint that is gone, JobRefused.
    """
    with transaction.atomic():
        # Locked: its run may be told at the same moment to remove it. The run first, as where events are recorded.
        parent = Run.objects.select_for_update().select_related("experiment").get(pk=checkpoint.run_id)
        checkpoint = Checkpoint.objects.select_for_update().get(pk=checkpoint.pk)
        old = Job.objects.filter(run=parent).first()
        if old is None:
            raise IllegalMove(
                f"run {parent.code} was not submitted as a job, so there is no command to start; start it by hand "
                f"with SCALEWEB_RESUME={checkpoint.path}"
            )
        if not checkpoint.available:
            raise IllegalMove(
                f"the checkpoint of step {checkpoint.step} is gone: its file was removed or found broken"
            )
        environment = {**old.env, **(env or {})}
        job = submit(
            experiment=parent.experiment,
            argv=old.argv if argv is None else argv,
            env={variable: value for variable, value in environment.items() if value is not None},
            config={**parent.config, **(config or {})},
            name=name or f"{parent.name[:160]} from step {checkpoint.step}",
            tags=list(parent.tags),
            user=user,
            **{field: other.get(field, getattr(old, field)) for field in LIKE},
        )
        Job.objects.filter(pk=job.pk).update(
            start_from={"checkpoint": checkpoint.pk, "run": parent.code, "step": checkpoint.step}
        )
        Run.objects.filter(pk=job.run_id).update(parent=parent, parent_step=checkpoint.step)
        RunEvent.objects.create(
            run=job.run, kind="note", step=checkpoint.step, actor=user.get_username() if user else "system",
            reason=f"forked from step {checkpoint.step} of {parent.name} ({parent.code})",
            data={"run": parent.code, "checkpoint": checkpoint.pk},
        )  # fmt: skip
        hold(parent, checkpoint, why=f"run {job.run.code} begins from it", user=user)
    job.refresh_from_db()
    return job
