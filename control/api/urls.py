"""The controller's addresses, below /api/v1/."""

from django.urls import path

from . import beliefs, condition, goodput, scores, views

urlpatterns = [
    path("experiments/<int:pk>/controller", views.Controller.as_view(), name="experiment-controller"),
    path("experiments/<int:pk>/controller/summary", scores.Summary.as_view(), name="controller-summary"),
    path("experiments/<int:pk>/decisions.csv", scores.DecisionTable.as_view(), name="decision-table"),
    path("policies", scores.Policies.as_view(), name="policies"),
    path("policies.csv", scores.PolicyTable.as_view(), name="policy-table"),
    path("beliefs", beliefs.Beliefs.as_view(), name="beliefs"),
    path("beliefs/export", beliefs.ExportBeliefs.as_view(), name="beliefs-export"),
    path("beliefs/import", beliefs.ImportBeliefs.as_view(), name="beliefs-import"),
    path("beliefs/reset", beliefs.ResetBeliefs.as_view(), name="beliefs-reset"),
    path("runs/<str:code>/decisions", views.Decisions.as_view(), name="run-decisions"),
    path("runs/<str:code>/effects", views.Effects.as_view(), name="run-effects"),
    path("runs/<str:code>/condition", condition.RunCondition.as_view(), name="run-condition"),
    path("runs/<str:code>/replay", views.Replay.as_view(), name="run-replay"),
    path("jobs/<slug:code>/goodput", goodput.JobGoodput.as_view(), name="job-goodput"),
    path("decisions/<int:pk>/approve", views.Approve.as_view(), name="decision-approve"),
    path("decisions/<int:pk>/reject", views.Reject.as_view(), name="decision-reject"),
    path("decisions/<int:pk>/reopen", views.Reopen.as_view(), name="decision-reopen"),
    path("decisions/<int:pk>/undo", views.Undo.as_view(), name="decision-undo"),
]
