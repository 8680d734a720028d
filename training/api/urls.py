"""The API's addresses of the training layer, under /api/v1/."""

from django.urls import path

from . import experiments, jobs, points, projects, run_parts, runs, series, site, tokens

urlpatterns = [
    path("me", site.Me.as_view(), name="me"),
    path("overview", site.Overview.as_view(), name="overview"),
    path("projects", projects.Projects.as_view(), name="projects"),
    path("projects/<slug:slug>", projects.ProjectDetail.as_view(), name="project"),
    path("projects/<slug:slug>/members", projects.Members.as_view(), name="members"),
    path("experiments", experiments.Experiments.as_view(), name="experiments"),
    path("experiments/<int:pk>", experiments.ExperimentDetail.as_view(), name="experiment"),
    path("runs", runs.Runs.as_view(), name="runs"),
    path("runs/<slug:code>", runs.RunDetail.as_view(), name="run"),
    path("runs/<slug:code>/keys", series.Keys.as_view(), name="run-keys"),
    path("runs/<slug:code>/tunables", run_parts.Tunables.as_view(), name="run-tunables"),
    path("runs/<slug:code>/commands", run_parts.Commands.as_view(), name="run-commands"),
    path("runs/<slug:code>/checkpoints", run_parts.Checkpoints.as_view(), name="run-checkpoints"),
    path("runs/<slug:code>/events", run_parts.Events.as_view(), name="run-events"),
    path("runs/<slug:code>/marks", run_parts.Marks.as_view(), name="run-marks"),
    path("runs/<slug:code>/logs", series.Logs.as_view(), name="run-logs"),
    path("runs/<slug:code>/points", points.Points.as_view(), name="run-points"),
    path("runs/<slug:code>/finish", runs.Finish.as_view(), name="run-finish"),
    path("runs/<slug:code>/export", series.Export.as_view(), name="run-export"),
    path("marks", run_parts.MarksOfRuns.as_view(), name="marks"),
    path("series/read", series.Read.as_view(), name="series-read"),
    path("jobs", jobs.Jobs.as_view(), name="jobs"),
    path("jobs/<slug:code>", jobs.JobDetail.as_view(), name="job"),
    path("jobs/<slug:code>/stop", jobs.Stop.as_view(), name="job-stop"),
    path("jobs/<slug:code>/requeue", jobs.Requeue.as_view(), name="job-requeue"),
    path("jobs/<slug:code>/priority", jobs.Priority.as_view(), name="job-priority"),
    path("queue", jobs.Queue.as_view(), name="queue"),
    path("tokens", tokens.Tokens.as_view(), name="tokens"),
    path("tokens/<int:pk>", tokens.TokenDetail.as_view(), name="token"),
]
