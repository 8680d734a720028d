"""Who may speak for a run or a node, and what a Hello changes. Database work: runs in the link's threads."""

import logging
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from monitoring.live.publish import publish_change
from monitoring.plain import NotPlain, plain, text
from monitoring.storage import series
from scaleweb_sdk.protocol import Hello
from training import commands, states
from training.models import ApiToken, Attempt, JobState, Rank, Run, RunEvent, TokenKind
from training.states import ENDED, RunState

from .refusal import Refused

logger = logging.getLogger(__name__)
SKEW_SECONDS = 60
MAX_PROCESS_BYTES = 256 * 1024
RANK_FACTS = ("hostname", "pid", "local_rank", "device")


@dataclass(frozen=True)
class Identity:
    """Who is at the other end, by its token."""

    token: int
    source: str
    run: int | None = None
    node: str | None = None


@dataclass(frozen=True)
class Admission:
    """What the server knows as a connection begins.

    newest_then: of what an earlier attempt left behind, the newest branch as the next attempt was made; None of others.
    """

    last_seq: int
    branch: int
    experiment: int | None = None
    last_step: int | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    lows: dict[str, float] = field(default_factory=dict)
    highs: dict[str, float] = field(default_factory=dict)
    newest_then: int | None = None


def find_token(plain_token: str) -> ApiToken:
    """Raises Refused: bad_token."""
    token = ApiToken.find(plain_token, TokenKind.RUN, TokenKind.NODE) if plain_token else None
    if token is None or (token.run is None and token.node is None):
        raise Refused(
            "bad_token",
            "the token is missing, unknown, expired, revoked or not a run or node token; "
            "send Authorization: Bearer sw_run_…",
            final=True,
        )
    return token


def note_use(token: int) -> None:
    found = ApiToken.objects.filter(pk=token).first()
    if found is not None:
        found.note_use()


def identify(token: ApiToken, hello: Hello) -> Identity:
    """Binds the Hello's source and role to the token. Raises Refused: wrong_run."""
    if token.run is not None:
        identity = Identity(token.pk, token.run.source, run=token.run.pk)
        fits = hello.role in {"process", "supervisor"}
    else:
        assert token.node is not None
        identity = Identity(token.pk, token.node.source, node=token.node.name)
        fits = hello.role == "agent"
    if hello.source != identity.source or not fits:
        raise Refused(
            "wrong_run",
            f"the token speaks for {identity.source}, not as {hello.role} for {hello.source!r:.100}",
            final=True,
        )
    return identity


def enter(identity: Identity, hello: Hello) -> Admission:
    """Takes a process, supervisor or agent in. Raises Refused."""
    skew = time.time() - hello.clock if hello.clock else 0.0
    last_seq = series.last_seq(identity.source, hello.session)
    if identity.run is None:
        if abs(skew) > SKEW_SECONDS:
            logger.warning("the clock of %s is %+.0f s off ours; its points are kept", identity.source, -skew)
        note_use(identity.token)
        return Admission(last_seq, branch=0)
    with transaction.atomic():
        run = Run.objects.select_for_update().filter(pk=identity.run).first()
        if run is None:
            raise Refused("wrong_run", "the run has been deleted", final=True)
        attempt = check_attempt(run, hello)
        if abs(skew) > SKEW_SECONDS:
            note_skew(run, hello, -skew)
        if not run.branches:
            run.branches = [{"index": 0, "from_step": 0, "reason": "start", "at": timezone.now().isoformat()}]
            run.save(update_fields=["branches"])
        if hello.role == "process":
            note_rank(run, hello)
        if hello.role == "process" and hello.rank == 0:
            newcomer = run.process.get("session") != hello.session
            tell_of_process(run, hello)
            if newcomer and hello.clock and abs(skew) <= SKEW_SECONDS:
                note_right_clock(run, hello)
            if newcomer and run.offers:
                # What the process before it offered says nothing of this one, which tells for itself.
                run.offers = []
                run.save(update_fields=["offers"])
            revive(run, hello, attempt, newcomer)
            if newcomer and hello.applied_seq:
                commands.presume_applied(run, hello.applied_seq)
        Run.objects.filter(pk=run.pk).update(last_seen_at=timezone.now())
        newest_then = None if attempt is None else newest_branch_then(run, attempt)
        # In the same commit: 500 that come at once wait for 500 commits, not for a thousand.
        note_use(identity.token)
    return Admission(
        last_seq,
        branch=max((entry.get("index", 0) for entry in run.branches), default=0),
        experiment=run.experiment_id,
        last_step=run.last_step,
        summary=run.summary,
        lows=run.lows,
        highs=run.highs,
        newest_then=newest_then,
    )


def check_attempt(run: Run, hello: Hello) -> Attempt | None:
    """The attempt this process belongs to, or None outside a job. Raises Refused: stale_attempt."""
    job = getattr(run, "job", None)
    if job is None:
        return None
    newest: Attempt | None = job.attempts.order_by("-number").first()
    if newest is not None and hello.role == "supervisor" and 0 < hello.attempt < newest.number:
        # What an earlier attempt left behind, which the server was too far away to hear then: history, and no life.
        return job.attempts.filter(number=hello.attempt).first()
    if newest is None or hello.attempt != newest.number:
        live = "none yet" if newest is None else f"attempt {newest.number}"
        if hello.attempt == 0 and job.state not in {JobState.QUEUED, JobState.ACTIVE}:
            return None  # the job is over, and its script is run again by hand
        raise Refused(
            "stale_attempt",
            f"this process is attempt {hello.attempt} of job {job.code}, whose current one is {live}",
            final=True,
        )
    if newest.ended_at is not None and job.state == JobState.QUEUED and hello.role == "process":
        raise Refused(
            "stale_attempt",
            f"attempt {newest.number} of job {job.code} was given up, and the job waits to run again",
            final=True,
        )
    return newest


def newest_branch_then(run: Run, attempt: Attempt) -> int | None:
    """The newest branch of the run as the attempt after this one was made; None where it is the newest itself."""
    after = Attempt.objects.filter(job=attempt.job_id, number=attempt.number + 1).first()
    if after is None:
        return None
    began = after.created_at.isoformat()
    return max((entry["index"] for entry in run.branches if entry.get("at", "") <= began), default=0)


def note_skew(run: Run, hello: Hello, ahead: float) -> None:
    if RunEvent.objects.filter(run=run, kind="note", data__clock_of=hello.session).exists():
        return
    direction = "ahead of" if ahead > 0 else "behind"
    RunEvent.objects.create(
        run=run,
        kind="note",
        reason=f"the process's clock is {abs(ahead):.0f} s {direction} the server's; its times are kept",
        data={"clock_of": hello.session, "clock_ahead_seconds": round(ahead, 1), "rank": hello.rank},
    )


def note_right_clock(run: Run, hello: Hello) -> None:
    """Where the process before had a clock that was off: what comes from here on is held against this one's.

    A process that goes on from a checkpoint tells of a branch, too; one that begins anew tells of nothing.
    """
    notes = RunEvent.objects.filter(run=run, kind="note", data__clock_ahead_seconds__isnull=False)
    told = [note.data for note in notes.order_by("pk") if not note.data.get("rank")]
    if not told or not told[-1]["clock_ahead_seconds"]:
        return
    RunEvent.objects.create(
        run=run,
        kind="note",
        reason="the clock of the process that goes on is right",
        data={"clock_of": hello.session, "clock_ahead_seconds": 0.0, "rank": 0},
    )


def note_clock_back(run: int, session: str, back: float) -> None:
    """Once a session: a clock that is put right again and again would fill the history."""
    notes = RunEvent.objects.filter(run=run, kind="note", data__clock_back_of=session)
    if notes.exists() or not Run.objects.filter(pk=run).exists():
        return
    RunEvent.objects.create(
        run_id=run,
        kind="note",
        reason=f"the process's clock ran {back:.0f} s backwards; its times are kept as they came",
        data={"clock_back_of": session, "clock_back_seconds": round(back, 1)},
    )


def tell_of_process(run: Run, hello: Hello) -> None:
    try:
        told = plain(hello.process, "process")
    except NotPlain as error:
        raise Refused("bad_frame", f"hello: {error}", final=True) from None
    if len(msgspec.json.encode(told)) > MAX_PROCESS_BYTES:
        told = {name: told[name] for name in ("hostname", "pid", "knows") if name in told}
    told |= {"session": hello.session, "sdk": hello.sdk[:40], "world_size": hello.world_size}
    if told != run.process:
        run.process = told
        run.save(update_fields=["process"])
        publish_change(f"run:{run.code}", "run", {"code": run.code, "process": told})


def note_rank(run: Run, hello: Hello) -> None:
    """Where this rank is. Those of a larger world before this one are no more."""
    if hello.rank == 0:
        Rank.objects.filter(run=run, rank__gte=max(1, hello.world_size)).delete()
    if hello.world_size < 2:
        Rank.objects.filter(run=run).delete()
        return
    try:
        told = plain(hello.process, "process")
    except NotPlain as error:
        raise Refused("bad_frame", f"hello: {error}", final=True) from None
    kept = {name: told[name] for name in RANK_FACTS if isinstance(told.get(name), str | int)}
    kept = {name: text(value, 255) if isinstance(value, str) else value for name, value in kept.items()}
    Rank.objects.update_or_create(
        run=run, rank=hello.rank,
        defaults={
            "world_size": hello.world_size, "attempt": hello.attempt, "process": kept, "connected_at": timezone.now(),
        },
    )  # fmt: skip


def revive(run: Run, hello: Hello, attempt: Attempt | None, newcomer: bool) -> None:
    """Move the run to running, unless this session said before that it is over."""
    if run.state == RunState.STOPPING or run.state == RunState.RUNNING:
        return
    if run.state == RunState.PAUSED and not newcomer:
        return
    if run.state in ENDED:
        # A session that has said its last word comes back only to hand in what was not acknowledged.
        if RunEvent.objects.filter(run=run, kind="finish", data__session=hello.session).exists():
            return
        # Its attempt was seen to end: what comes now is late data. A lost one may still be at work, and be taken
        # back; not where a person has stopped the job meanwhile: its node's worker will end the process.
        lost = attempt is not None and attempt.outcome == Attempt.Outcome.LOST
        if attempt is not None and attempt.ended_at and not (lost and attempt.job.state == JobState.FAILED):
            return
    reason = f"process {run.process.get('pid', '?')} on {run.process.get('hostname', '?')} connected"
    states.move(run, RunState.RUNNING, reason[:2000], actor="the process")
