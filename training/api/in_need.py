"""Runs that need a person: a few for the first page, and all of them, page by page."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from monitoring.api.pages import KeySetPages
from training import access
from training.models import Run
from training.needs import wrong_with
from training.progress import ENDS
from training.states import LIVE, RunState

from .permissions import ProjectRole
from .run_serializers import RUNS, RunSerializer

SHOWN = 50  # on the first page
LOOKED_AT = 200  # running runs whose loss is read at once
ATTENTION_DAYS = 3


class RunInNeed(RunSerializer):
    attention = serializers.CharField(read_only=True, help_text="What is wrong, in words.")

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "attention"]


def decisions(user):
    """The visible decisions. The relation comes from the control layer above."""
    return access.visible(Run.decisions.rel.related_model.objects.all(), user)


class Needs:
    """What may need a person, in three parts without a run in common."""

    def __init__(self, runs, user):
        now = timezone.now()
        runs = runs.filter(experiment__archived=False)
        broken = Q(
            state__in=[RunState.FAILED, RunState.LOST], ended_at__gt=now - timedelta(days=ATTENTION_DAYS)
        )
        silent = Q(state__in=LIVE, last_seen_at__lt=now - timedelta(seconds=settings.SILENT_SECONDS))
        self.proposals = decisions(user).filter(state="proposed").order_by("id")
        self.calls = silent | Q(pk__in=self.proposals.order_by().values("run"))
        self.going = runs.exclude(broken)
        self.parts = {
            "called": self.going.filter(self.calls),  # silent, or a proposal waits
            "running": self.going.filter(state=RunState.RUNNING).exclude(
                self.calls
            ),  # those of it that diverged
            "ended": runs.filter(broken),
        }

    def first(self) -> tuple[list[Run], int]:
        """(those to tell, how many there are): what goes on first, for it can still be helped, then what broke last.
        Of what runs, the newest are looked at."""
        wrong = wrong_with(self.going.filter(state=RunState.RUNNING)[:LOOKED_AT])
        diverged = self.parts["running"].filter(pk__in=wrong)
        found = list(self.going.filter(self.calls | Q(pk__in=wrong))[:SHOWN])
        found += self.parts["ended"][: SHOWN - len(found)]
        count = len(found)
        if count == SHOWN:
            count = self.parts["called"].count() + diverged.count() + self.parts["ended"].count()
        return self.told(found, wrong), count

    def page(self, place: "Place", size: int) -> tuple[list[Run], "Place | None"]:
        """(at most `size` after a place, the place after these). Losses of no more than LOOKED_AT runs are read."""
        rows = self.parts[place.part]
        if place.below is not None:
            rows = rows.filter(id__lt=place.below)
        most = LOOKED_AT if place.part == "running" else size
        rows = list(rows.order_by("-id")[: most + 1])
        more, rows = len(rows) > most, rows[:most]
        wrong = wrong_with([run for run in rows if run.state == RunState.RUNNING])
        found = [run for run in rows if run.pk in wrong] if place.part == "running" else rows
        if len(found) > size:
            more, found = True, found[:size]
            rows = found
        after = place.following() if not more else Place(place.part, rows[-1].pk)
        if len(found) < size and after and not (more and place.part == "running"):
            rest, after = self.page(after, size - len(found))
            return self.told(found, wrong) + rest, after
        return self.told(found, wrong), after

    def told(self, found: list[Any], wrong: dict[int, str]) -> list[Run]:
        """The same runs, each with what is wrong in `attention`."""
        asked = dict(self.proposals.filter(run__in=[run.pk for run in found]).values_list("run", "reason"))
        for run in found:
            if run.state in {RunState.FAILED, RunState.LOST}:
                run.attention = run.state
            elif run.pk in asked:
                run.attention = f"waits for your answer: {asked[run.pk]}"
            else:
                run.attention = wrong.get(run.pk, "silent")
        return found


@dataclass(frozen=True)
class Place:
    """Where a page begins: in a part of `Needs`, below a run's id."""

    part: str = "called"
    below: int | None = None

    ORDER = ("called", "running", "ended")

    def following(self) -> "Place | None":
        rest = self.ORDER[self.ORDER.index(self.part) + 1 :]
        return Place(rest[0]) if rest else None

    @property
    def text(self) -> str:
        return self.part if self.below is None else f"{self.part}-{self.below}"

    @classmethod
    def read(cls, text: str) -> "Place":
        """Raises ValueError for a text that is no place's."""
        match = re.fullmatch(r"(called|running|ended)(?:-([0-9]{1,18}))?", text)
        if not match:
            raise ValueError
        return cls(match[1], int(match[2]) if match[2] else None)


class NeedPages(KeySetPages):
    after: Place | None = None

    def paginate_queryset(self, queryset: Any, request: Any, view: Any = None) -> Any:
        size = self.get_page_size(request) or 100
        try:
            cursor = request.query_params.get(self.cursor_query_param)
            place = Place() if cursor is None else Place.read(cursor)
        except ValueError:
            raise ValidationError(
                {"cursor": ["Expected the cursor of a `next` or `previous` address."]}
            ) from None
        self.base_url = request.build_absolute_uri()
        found, self.after = Needs(queryset, request.user).page(place, size)
        return found

    def get_paginated_response(self, data: Any) -> Response:
        after = self.after and replace_query_param(
            str(self.base_url), self.cursor_query_param, self.after.text
        )
        return Response({"next": after, "previous": None, "results": data})


class RunsInNeed(generics.ListAPIView):
    """Every run that needs a person: those that are silent now or whose proposal waits, those that diverged though they
    run, then those that failed or were lost within 3 days. A page may be short, or empty, before the last one."""

    permission_classes = [ProjectRole]
    queryset = RUNS.prefetch_related(ENDS)
    serializer_class = RunInNeed
    pagination_class = NeedPages

    def get_queryset(self):
        return access.visible(super().get_queryset(), self.request.user)

    @extend_schema(operation_id="runs_in_need")
    def get(self, request, *args, **kwargs):
        return super().get(request, *args, **kwargs)
