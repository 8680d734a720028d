"""What the site knows of experiments, runs and jobs."""

from .command import Command, CommandState, Schedule
from .job import Attempt, DeviceLease, Job, JobDependency, JobGroup, JobState, Member
from .media import Media, MediaKind
from .project import ROLE_RANK, Experiment, Membership, Project, Role
from .quota import Quota
from .rank import Rank
from .run import Checkpoint, Run, RunEvent, Tunable
from .token import ApiToken, TokenKind
from .usage import Usage
from .view import SavedView, ViewLink
from .working_copy import WorkingCopy

__all__ = [
    "ROLE_RANK", "ApiToken", "Attempt", "Checkpoint", "Command", "CommandState", "DeviceLease", "Experiment",
    "Job", "JobDependency", "JobGroup", "JobState", "Media", "MediaKind", "Member", "Membership",
    "Project", "Quota", "Rank", "Role", "Run", "RunEvent", "SavedView", "Schedule", "TokenKind", "Tunable",
    "Usage", "ViewLink", "WorkingCopy",
]  # fmt: skip
