"""Saved views: how an experiment is looked at, under a short code, and links that show one without an account."""

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import APIException, PermissionDenied, ValidationError
from rest_framework.response import Response

from monitoring.api.strict import JsonMap, Name, StrictModelSerializer, StrictSerializer, Switch, Text, Whole
from training import access
from training.models import Experiment, Role, SavedView, ViewLink
from training.view_state import BadState, check_state

from .permissions import ProjectRole

MAX_VIEWS = 500  # of an experiment: a list that nobody finds anything in
LONGEST_DAYS = 365
USUAL_DAYS = 30


class ViewGone(APIException):
    status_code = status.HTTP_410_GONE
    default_code = "gone"


class SavedViewSerializer(StrictModelSerializer):
    name = Name(max_length=200)
    owner = Text(source="owner.username", default=None, read_only=True, allow_null=True)
    state = JsonMap(help_text="`{version: 1, layout, table, drawn, others, panels}`, at most 256 KiB.")
    shared = Switch(required=False, help_text="Seen by all who see the experiment; else by its owner alone.")
    mine = serializers.SerializerMethodField()

    class Meta:
        model = SavedView
        fields = [
            "code",
            "experiment",
            "name",
            "state",
            "shared",
            "owner",
            "mine",
            "created_at",
            "updated_at",
        ]
        read_only_fields = ["code", "experiment", "created_at", "updated_at"]

    def get_mine(self, view: SavedView) -> bool:
        return view.owner_id == self.context["request"].user.pk

    def validate_state(self, state: dict[str, Any]) -> dict[str, Any]:
        try:
            return check_state(state)
        except BadState as error:
            raise ValidationError(str(error)) from None


class ListedViewSerializer(SavedViewSerializer):
    """As in a list: without what it shows, which may be long."""

    class Meta(SavedViewSerializer.Meta):
        fields = [name for name in SavedViewSerializer.Meta.fields if name != "state"]


def in_sight(user: Any) -> QuerySet[SavedView]:
    """Views that the person may see: shared ones of their projects, and their own there."""
    views = access.visible(SavedView.objects.select_related("owner", "experiment__project"), user)
    return views.filter(Q(shared=True) | Q(owner=user))


def fetch_view(user: Any, code: str, role: str = Role.VIEWER) -> SavedView:
    """Raises Http404, ViewGone for one that was deleted, PermissionDenied where the role does not suffice."""
    view = access.fetch(in_sight(user), user, Role.VIEWER, code=code)
    if view.deleted_at is not None:
        by = f" by {view.deleted_by}" if view.deleted_by else ""
        raise ViewGone(f"The view “{view.name}” was deleted{by} on {view.deleted_at:%Y-%m-%d}.")
    if role != Role.VIEWER and (view.owner_id != user.pk or (role == Role.OPERATOR and view.shared)):
        access.check(user, view, Role.OPERATOR)
    return view


class ExperimentViews(generics.ListAPIView):
    """An experiment's saved views, the newest first: shared ones, and your own."""

    permission_classes = [ProjectRole]
    serializer_class = ListedViewSerializer
    queryset = SavedView.objects.all()

    def get_queryset(self):
        experiment = access.fetch(
            Experiment.objects.all(), self.request.user, Role.VIEWER, pk=self.kwargs["pk"]
        )
        return in_sight(self.request.user).filter(experiment=experiment, deleted_at=None)

    @extend_schema(request=SavedViewSerializer, responses={201: SavedViewSerializer})
    def post(self, request, pk: int):
        """Save a view. Anybody who sees the experiment keeps views of their own; to share one takes an operator."""
        experiment = access.fetch(Experiment.objects.all(), request.user, Role.VIEWER, pk=pk)
        new = SavedViewSerializer(data=request.data, context=self.get_serializer_context())
        new.is_valid(raise_exception=True)
        if new.validated_data.get("shared"):
            access.check(request.user, experiment, Role.OPERATOR)
        if experiment.views.filter(deleted_at=None).count() >= MAX_VIEWS:
            raise ValidationError({"name": [f"The experiment has {MAX_VIEWS} views already; delete some."]})
        new.save(experiment=experiment, owner=request.user)
        return Response(new.data, status=status.HTTP_201_CREATED)


class ViewDetail(generics.GenericAPIView):
    """One saved view, with what it shows. 410 says that it was deleted, by whom and when."""

    permission_classes = [ProjectRole]
    serializer_class = SavedViewSerializer
    queryset = SavedView.objects.all()

    def get(self, request, code: str):
        """A view and what it shows. 410 says that it was deleted, by whom and when."""
        return Response(self.get_serializer(fetch_view(request.user, code)).data)

    def patch(self, request, code: str):
        """Rename a view, share it, or give it another state: your own, or as an operator a shared one."""
        view = fetch_view(request.user, code, Role.OPERATOR)
        change = self.get_serializer(view, data=request.data, partial=True)
        change.is_valid(raise_exception=True)
        if change.validated_data.get("shared", view.shared) != view.shared:
            access.check(request.user, view, Role.OPERATOR)
            if view.owner_id not in {request.user.pk, None}:
                raise PermissionDenied("only its owner may take a view from the others")
        change.save()
        return Response(change.data)

    @extend_schema(responses={204: None})
    def delete(self, request, code: str):
        """Delete a view; its links end with it."""
        view = fetch_view(request.user, code, Role.OPERATOR)
        with transaction.atomic():
            view.bury(request.user.get_username())
        return Response(status=status.HTTP_204_NO_CONTENT)


class ViewLinkSerializer(serializers.ModelSerializer):
    created_by = serializers.CharField(source="created_by.username", default=None, allow_null=True)

    class Meta:
        model = ViewLink
        fields = ["id", "prefix", "created_by", "created_at", "expires_at", "last_used_at"]


class NewViewLinkSerializer(StrictSerializer):
    expires_in_days = Whole(min_value=1, max_value=LONGEST_DAYS, required=False, default=USUAL_DAYS)


class NewViewLinkAnswer(ViewLinkSerializer):
    """The token is in this answer alone: only its hash is kept."""

    token = serializers.CharField(read_only=True)

    class Meta(ViewLinkSerializer.Meta):
        fields = [*ViewLinkSerializer.Meta.fields, "token"]


class ViewLinks(generics.ListAPIView):
    """Links in force that show a view without an account, read-only."""

    permission_classes = [ProjectRole]
    read_role = Role.OPERATOR
    serializer_class = ViewLinkSerializer
    queryset = ViewLink.objects.all()

    def get_queryset(self):
        view = fetch_view(self.request.user, self.kwargs["code"])
        access.check(self.request.user, view, Role.OPERATOR)
        return view.links.filter(revoked_at=None, expires_at__gt=timezone.now()).select_related("created_by")

    @extend_schema(request=NewViewLinkSerializer, responses={201: NewViewLinkAnswer})
    def post(self, request, code: str):
        """Make a link. Whoever has it sees this view, and nothing else, until it ends or is taken back."""
        view = fetch_view(request.user, code)
        access.check(request.user, view, Role.OPERATOR)
        wanted = NewViewLinkSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        ends = timezone.now() + timedelta(days=wanted.validated_data["expires_in_days"])
        link, plain = ViewLink.issue(view, created_by=request.user, expires_at=ends)
        link.token = plain  # type: ignore[attr-defined]
        return Response(NewViewLinkAnswer(link).data, status=status.HTTP_201_CREATED)


class ViewLinkDetail(generics.GenericAPIView):
    """A link to a view."""

    permission_classes = [ProjectRole]
    queryset = ViewLink.objects.all()
    serializer_class = ViewLinkSerializer

    @extend_schema(responses={204: None})
    def delete(self, request, code: str, pk: int):
        """Take a link back: from now on it shows nothing."""
        view = fetch_view(request.user, code)
        access.check(request.user, view, Role.OPERATOR)
        generics.get_object_or_404(view.links, pk=pk)
        # Kept, so that "who could see it when" can still be answered.
        view.links.filter(pk=pk, revoked_at=None).update(revoked_at=timezone.now())
        return Response(status=status.HTTP_204_NO_CONTENT)
