"""Jobs as they are asked for over REST."""

from typing import Any

from rest_framework import serializers

from monitoring.api.strict import JsonMap, Moment, Name, StrictSerializer, Switch, Text, Whole
from monitoring.models import Device
from training.jobs.dependencies import MAX_AFTER
from training.models.job import Keep, Launcher, Preemptible

from .experiments import VisibleProject
from .run_serializers import InExperiment, TagList, VisibleExperiment


class AfterList(serializers.ListField):
    """CODE, CODE:any or CODE:failed of jobs, runs or groups."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            child=Text(max_length=60), max_length=MAX_AFTER,
            help_text="What it waits for: CODE (to end well), CODE:any or CODE:failed of jobs, runs or groups.",
            **options,
        )  # fmt: skip


class GitSerializer(StrictSerializer):
    """A revision to be fetched; with working_copy, what the files were made from."""

    url = Text(max_length=1000, required=False, allow_blank=True)
    revision = Text(max_length=200)
    branch = Text(max_length=200, required=False, allow_blank=True)
    dirty = Switch(required=False, help_text="Whether the files differ from the revision.")


class AfterSerializer(StrictSerializer):
    after = AfterList()


class NewJobSerializer(InExperiment):
    """The arguments of `training.jobs.submit`; the experiment by id, or by project and name."""

    experiment = VisibleExperiment(required=False)
    project = VisibleProject(required=False)
    experiment_name = Name(max_length=200, required=False)
    name = Name(max_length=200, required=False, allow_blank=True)
    argv = serializers.ListField(
        child=Text(max_length=100_000, allow_blank=True, trim_whitespace=False),
        allow_empty=False,
        max_length=1000,
        help_text="The command as a list of arguments; no shell reads it.",
    )
    env = serializers.DictField(
        child=Text(max_length=100_000, allow_blank=True, trim_whitespace=False), required=False
    )
    cwd = Text(max_length=1000, required=False, allow_blank=True, trim_whitespace=False)
    working_copy = Text(
        max_length=64,
        required=False,
        help_text="The SHA-256 of files that were sent to projects/{slug}/copies.",
    )
    git = GitSerializer(required=False)
    node_labels = serializers.DictField(
        child=Text(max_length=200),
        required=False,
        help_text="Labels that its nodes must have: {name: value}.",
    )
    device_name = Text(
        max_length=100,
        required=False,
        allow_blank=True,
        help_text="A part of the devices' name, such as h100.",
    )
    device_memory_bytes = Whole(min_value=1, required=False, allow_null=True)
    memory_bytes = Whole(
        min_value=1,
        required=False,
        allow_null=True,
        help_text="Main memory reserved on each of its nodes, and its limit there.",
    )
    deadline = Moment(required=False, allow_null=True, help_text="Waiting or running, it is ended then.")
    after = AfterList(required=False)
    device_kind = serializers.ChoiceField(choices=Device.Kind.choices, required=False)
    min_devices = Whole(min_value=1, max_value=1024, required=False)
    max_devices = Whole(min_value=1, max_value=1024, required=False)
    launcher = serializers.ChoiceField(
        choices=Launcher.choices, required=False,
        help_text="torchrun: the command runs once for each device, as the ranks of one training.",
    )  # fmt: skip
    max_nodes = Whole(min_value=1, max_value=1024, required=False)
    keep = serializers.ChoiceField(
        choices=Keep.choices, required=False,
        help_text="What stays as it is when the number of ranks changes: the effective batch, or what each rank does.",
    )  # fmt: skip
    priority = Whole(min_value=-1000, max_value=1000, required=False)
    preemptible = serializers.ChoiceField(
        choices=Preemptible.choices, required=False,
        help_text="Whether it may be asked to leave for another job; saved: when its process saves checkpoints.",
    )  # fmt: skip
    max_retries = Whole(min_value=0, max_value=100, required=False)
    config = JsonMap(required=False)
    tags = TagList(required=False)

    def arguments(self) -> dict[str, Any]:
        """Of `training.jobs.submit`, once it was found valid."""
        data = dict(self.validated_data)
        data["experiment"] = self.chosen_experiment(data)
        if "max_devices" not in data and data.get("min_devices", 1) > 1:
            data["max_devices"] = data["min_devices"]
        return data


class NewGroupSerializer(NewJobSerializer):
    """A job, and what varies: a grid of settings, or the indices of an array."""

    grid = serializers.DictField(
        child=serializers.ListField(
            child=Text(max_length=10_000, allow_blank=True, trim_whitespace=False), max_length=100_000
        ),
        required=False,
        help_text='Values by setting: {"lr": ["1e-4", "1e-3"]}. One job for each combination.',
    )
    array = Text(
        max_length=60, required=False, help_text="0-99, 0-99:10 (every tenth), 0-99%8 (at most 8 at once)."
    )
    at_once = Whole(min_value=1, max_value=2**31 - 1, required=False, allow_null=True)

    def validate(self, data: dict[str, Any]) -> dict[str, Any]:
        if ("grid" in data) == ("array" in data):
            raise serializers.ValidationError({"grid": ["Give grid or array, one of them."]})
        return data
