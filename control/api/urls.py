"""The controller's addresses, below /api/v1/."""

from django.urls import path

from . import views

urlpatterns = [
    path("experiments/<int:pk>/controller", views.Controller.as_view(), name="experiment-controller"),
    path("runs/<str:code>/decisions", views.Decisions.as_view(), name="run-decisions"),
    path("runs/<str:code>/replay", views.Replay.as_view(), name="run-replay"),
    path("decisions/<int:pk>/approve", views.Approve.as_view(), name="decision-approve"),
    path("decisions/<int:pk>/reject", views.Reject.as_view(), name="decision-reject"),
    path("decisions/<int:pk>/undo", views.Undo.as_view(), name="decision-undo"),
]
