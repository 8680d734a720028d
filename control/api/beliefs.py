"""What verdicts taught the site: to read for anybody with a login, to bring in and to forget for its admins."""

from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from control import beliefs
from control.learning.posterior import Tally
from monitoring.api.filters import known_query
from monitoring.api.permissions import SiteAdmin
from monitoring.api.strict import StrictSerializer, Switch, Text


class TallySerializer(serializers.Serializer):
    policy = serializers.CharField()
    action = serializers.CharField(
        help_text="What is done and about how far: `learning_rate x3`, `rollback`."
    )
    context = serializers.CharField(help_text="Optimiser family, phase of the run, noise of its loss.")
    better = serializers.FloatField(help_text="Verdicts, the old ones weighing less; so are all counts.")
    same = serializers.FloatField()
    worse = serializers.FloatField()
    unclear = serializers.FloatField(help_text="Within what chance gives: teaches nothing of gain or harm.")
    gains = serializers.FloatField(help_text="How many of the verdicts have a figure.")
    mean = serializers.FloatField(
        help_text="Mean gain: a logarithm of measured against forecast, positive for better."
    )
    squares = serializers.FloatField(help_text="Sum of the gains' squared deviations from their mean.")


class BeliefSerializer(TallySerializer):
    """Verdicts with what may be believed after them, the policy's other actions and contexts taken along."""

    chance_better = serializers.FloatField()
    chance_worse = serializers.FloatField()
    gain = serializers.FloatField()
    gain_low = serializers.FloatField(help_text="Lower end of the mean gain's 80 % interval.")
    gain_high = serializers.FloatField()


class Beliefs(APIView):
    """What is believed of each policy's actions, by context, after all verdicts of this site."""

    permission_classes = [SiteAdmin]

    @extend_schema(
        parameters=[OpenApiParameter("policy", str, description="Of this policy only.")],
        responses=BeliefSerializer(many=True),
    )
    def get(self, request: Any) -> Response:
        wanted = known_query(request, "policy").get("policy", "")
        book = beliefs.book()
        return Response([described(book, *key) for key in sorted(book.tallies) if wanted in ("", key[0])])


def described(book: Any, policy: str, action: str, context: str) -> dict[str, Any]:
    tally: Tally = book.tallies[policy, action, context]
    belief = book.belief(policy, action, context)
    return {"policy": policy, "action": action, "context": context, **asdict(tally)} | {
        "chance_better": belief.better,
        "chance_worse": belief.worse,
        "gain": belief.gain,
        "gain_low": belief.low,
        "gain_high": belief.high,
    }


class BeliefsFile(serializers.Serializer):
    format = serializers.CharField()
    beliefs = TallySerializer(many=True)


class ExportBeliefs(APIView):
    """All tallies, as `POST beliefs/import` takes them."""

    permission_classes = [SiteAdmin]

    @extend_schema(responses=BeliefsFile)
    def get(self, request: Any) -> Response:
        known_query(request)
        return Response(beliefs.export())


class BeliefsWanted(StrictSerializer):
    format = Text(max_length=100)
    beliefs = serializers.ListField(child=serializers.JSONField(), max_length=beliefs.MOST_IMPORTED)
    merge = Switch(required=False, default=False)


class Counted(serializers.Serializer):
    count = serializers.IntegerField()


class ImportBeliefs(APIView):
    """Take exported beliefs in place of the site's own; `merge` adds them, and twice counts twice. All or nothing."""

    permission_classes = [SiteAdmin]

    @extend_schema(request=BeliefsWanted, responses=Counted)
    def post(self, request: Any) -> Response:
        wanted = BeliefsWanted(data=request.data)
        wanted.is_valid(raise_exception=True)
        try:
            count = beliefs.load(wanted.validated_data, wanted.validated_data["merge"])
        except beliefs.BadBeliefs as error:
            raise ValidationError({"beliefs": [f"{error}."]}) from None
        return Response({"count": count})


class ResetWanted(StrictSerializer):
    policy = Text(max_length=100, required=False, default="", allow_blank=True)


class ResetBeliefs(APIView):
    """Forget all beliefs, or those of one policy. Verdicts that were learned from are not learned from again."""

    permission_classes = [SiteAdmin]

    @extend_schema(request=ResetWanted, responses=Counted)
    def post(self, request: Any) -> Response:
        wanted = ResetWanted(data=request.data)
        wanted.is_valid(raise_exception=True)
        return Response({"count": beliefs.reset(wanted.validated_data["policy"])})
