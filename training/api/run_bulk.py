"""The same for many runs at once, those chosen one by one or all that match: tags, stops, new starts, deletions.

An answer comes after at most a few seconds, with where it stopped: who asks shows how far it is and asks on.
"""

import time
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.strict import StrictSerializer, Text, Whole
from training import access, many_runs
from training.models import Role, Run

from .narrowed import narrow
from .permissions import ProjectRole
from .run_filters import IdIn
from .run_serializers import TagList, VisibleExperiment

MAX_CODES = 10_000
SECONDS = 2.0
AT_ONCE = 200
MAX_TOLD = 20  # of those that were refused; the others are counted


class MatchingSerializer(StrictSerializer):
    where = serializers.ListField(child=Text(max_length=1000), max_length=20, required=False)
    filter = Text(max_length=20_000, required=False, allow_blank=True)
    find = Text(max_length=500, required=False, allow_blank=True)


class BulkSerializer(StrictSerializer):
    experiment = VisibleExperiment()
    action = serializers.ChoiceField(choices=["tag", "untag", "stop", "requeue", "delete"])
    tags = TagList(required=False, help_text="For tag and untag.")
    codes = serializers.ListField(child=Text(max_length=16), max_length=MAX_CODES, required=False)
    matching = MatchingSerializer(
        required=False, help_text="Instead of codes: all that match; {} is all there are."
    )
    expected = Whole(
        min_value=0,
        required=False,
        help_text="With matching: how many the person was shown. Refused where more match now.",
    )
    after = Whole(min_value=0, required=False, help_text="`next` of the last answer, to go on.")
    until = Whole(
        min_value=0, required=False, help_text="`until` of the last answer: later runs are left alone."
    )

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if ("codes" in data) == ("matching" in data):
            raise ValidationError({"codes": ["Give codes, or matching: which runs are meant?"]})
        if data["action"] in {"tag", "untag"} and not data.get("tags"):
            raise ValidationError({"tags": [f"To {data['action']} takes one tag or more."]})
        return data


class RefusedRunSerializer(serializers.Serializer):
    code = serializers.CharField()
    name = serializers.CharField()
    reason = serializers.CharField()


class BulkAnswerSerializer(serializers.Serializer):
    done = serializers.IntegerField()
    changed = serializers.ListField(child=serializers.CharField(), help_text="Codes, to take it back by.")
    unchanged = serializers.IntegerField(help_text="It was so already.")
    refused = serializers.IntegerField()
    refusals = RefusedRunSerializer(many=True)
    left = serializers.IntegerField(help_text="Runs that are still to come.")
    next = serializers.IntegerField(allow_null=True)
    until = serializers.IntegerField()


class BulkRuns(APIView):
    """Tag, untag, stop, queue again or delete many runs of an experiment."""

    permission_classes = [ProjectRole]

    @extend_schema(request=BulkSerializer, responses=BulkAnswerSerializer)
    def post(self, request):
        """Tag, untag, stop, queue again or delete many runs of an experiment, each for itself.

        Works for about two seconds and says where it stopped: ask again with `after` and `until` until `next` is null.
        """
        wanted = BulkSerializer(data=request.data, context={"request": request})
        wanted.is_valid(raise_exception=True)
        asked = wanted.validated_data
        access.check(request.user, asked["experiment"], Role.OPERATOR)
        meant = self.meant(asked)
        # Which runs, is said once: what is made meanwhile was not meant.
        until = asked.get("until")
        if until is None:
            until = meant.order_by("-id").values_list("id", flat=True).first() or 0
        waiting = meant.filter(id__gt=asked.get("after", 0), id__lte=until).order_by("id")
        return Response(self.work(asked, waiting, request.user) | {"until": until})

    def meant(self, asked: dict[str, Any]) -> QuerySet[Run]:
        runs = Run.objects.filter(experiment=asked["experiment"])
        if "codes" in asked:
            return runs.filter(IdIn(runs.filter(code__in=asked["codes"]).values_list("id", flat=True)))
        matching = asked["matching"]
        runs = narrow(runs, matching.get("where", []), matching.get("filter", ""), matching.get("find", ""))
        if "expected" in asked and "after" not in asked and (count := runs.count()) > asked["expected"]:
            raise ValidationError(
                {
                    "expected": [
                        f"{count:,} runs match now, and you were shown {asked['expected']:,}; look again."
                    ]
                }
            )
        return runs

    def work(self, asked: dict[str, Any], waiting: QuerySet[Run], user: Any) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        changed, refusals, unchanged, refused, last = [], [], 0, 0, asked.get("after", 0)
        left = waiting.count()
        rows = list(waiting.select_related("job").defer("config", "summary", "lows", "highs")[:AT_ONCE])
        for run in rows:
            if time.monotonic() > end:
                break
            last, left = run.pk, left - 1
            try:
                did = self.act(asked, run, user)
            except many_runs.Refused as error:
                refused += 1
                if len(refusals) < MAX_TOLD:
                    refusals.append({"code": run.code, "name": run.name, "reason": str(error)})
                continue
            if did:
                changed.append(run.code)
            else:
                unchanged += 1
        return {
            "done": len(changed), "changed": changed, "unchanged": unchanged, "refused": refused, "refusals": refusals,
            "left": left, "next": last if left else None,
        }  # fmt: skip

    def act(self, asked: dict[str, Any], run: Run, user: Any) -> bool:
        action = asked["action"]
        if action == "tag":
            return many_runs.tag(run, asked["tags"])
        if action == "untag":
            return many_runs.untag(run, asked["tags"])
        if action == "requeue":
            return many_runs.requeue(run, user)
        return many_runs.stop(run, user) if action == "stop" else many_runs.delete(run)
