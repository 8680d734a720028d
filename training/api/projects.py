"""Projects and their members."""

from django.contrib.auth import get_user_model
from django.db import transaction
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import generics, serializers, status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.response import Response
from rest_framework.views import APIView

from monitoring.api.pages import whole
from monitoring.api.strict import Name, StrictModelSerializer, StrictSerializer, Text
from training import access
from training.models import Membership, Project, Role

from .permissions import ProjectRole, ProjectScoped
from .roles import role_in


class ProjectSerializer(StrictModelSerializer):
    name = Name(max_length=200)
    role = serializers.SerializerMethodField(help_text="Your own role here.")

    class Meta:
        model = Project
        fields = ["slug", "name", "role", "created_at"]
        read_only_fields = ["created_at"]

    def get_role(self, project: Project) -> str:
        return role_in(self.context["request"], project.pk)

    def validate_slug(self, slug: str) -> str:
        if self.instance is not None and slug != self.instance.slug:
            raise ValidationError("A project keeps its slug: addresses and scripts hold it.")
        return slug


class Projects(ProjectScoped, generics.ListCreateAPIView):
    """The projects you have a role in. A site administrator makes new ones, and is their first admin."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer

    def perform_create(self, serializer):
        if not self.request.user.is_superuser:
            raise PermissionDenied("this needs a site administrator")
        with transaction.atomic():
            project = serializer.save()
            Membership.objects.create(project=project, user=self.request.user, role=Role.ADMIN)


class ProjectDetail(ProjectScoped, generics.RetrieveUpdateAPIView):
    """One project and your role in it. Its admins rename it; it keeps its slug."""

    queryset = Project.objects.all()
    serializer_class = ProjectSerializer
    lookup_field = "slug"
    write_role = Role.ADMIN
    http_method_names = ["get", "patch", "head", "options"]


class MemberSerializer(StrictSerializer):
    username = Text(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices)


class MemberName(StrictSerializer):
    username = Text(max_length=150)


class MembersPage(serializers.Serializer):
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = MemberSerializer(many=True)


class Members(APIView):
    """Who has which role in a project. A project always keeps one admin."""

    permission_classes = [ProjectRole]

    def project(self, request, slug: str) -> Project:
        return access.fetch(Project.objects.all(), request.user, Role.ADMIN, slug=slug)

    @extend_schema(responses=MembersPage)
    def get(self, request, slug: str):
        members = Membership.objects.filter(project=self.project(request, slug)).select_related("user")
        rows = [{"username": member.user.get_username(), "role": member.role} for member in members]
        return Response(whole(sorted(rows, key=lambda row: row["username"])))

    @extend_schema(request=MemberSerializer, responses=MemberSerializer)
    def put(self, request, slug: str):
        project = self.project(request, slug)
        wanted = MemberSerializer(data=request.data)
        wanted.is_valid(raise_exception=True)
        user = (
            get_user_model()
            .objects.filter(username=wanted.validated_data["username"], is_active=True)
            .first()
        )
        if user is None:
            raise ValidationError({"username": ["There is no active user of this name."]})
        with transaction.atomic():
            if wanted.validated_data["role"] != Role.ADMIN:
                self.keep_an_admin(project, user)
            Membership.objects.update_or_create(
                project=project, user=user, defaults={"role": wanted.validated_data["role"]}
            )
        return Response(wanted.data)

    @extend_schema(request=MemberName, responses={204: None})
    def delete(self, request, slug: str):
        project = self.project(request, slug)
        wanted = MemberName(data=request.data)
        wanted.is_valid(raise_exception=True)
        with transaction.atomic():
            member = get_object_or_404(
                Membership, project=project, user__username=wanted.validated_data["username"]
            )
            self.keep_an_admin(project, member.user)
            member.delete()
        return Response(status=status.HTTP_204_NO_CONTENT)

    def keep_an_admin(self, project: Project, leaving) -> None:
        # The rows are locked so that two admins cannot demote each other at once.
        admins = list(
            Membership.objects.select_for_update()
            .filter(project=project, role=Role.ADMIN)
            .values_list("user_id", flat=True)
        )
        if admins == [leaving.pk]:
            raise ValidationError({"username": ["This is the project's last admin; name another one first."]})
