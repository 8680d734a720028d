"""Projects, experiments, runs, jobs and tokens in the Django admin.

What has one writer in the code (a run's state, commands, attempts) is read-only here; actions go through the
same functions as the pages do.
"""

from . import groups as groups
from . import jobs as jobs
from . import projects as projects
from . import runs as runs
from . import tokens as tokens
from . import views as views
