"""Slugs for names that people type."""

import secrets

from django.utils.text import slugify

from training.models import Experiment, Project


def free_slug(project: Project, name: str) -> str:
    """A slug for an experiment of this name that no other one in the project has."""
    base = slugify(name)[:80] or "experiment"
    if not Experiment.objects.filter(project=project, slug=base).exists():
        return base
    return f"{base}-{secrets.token_hex(4)}"
