"""Every HTTP address of the site. `tests/api/test_access.py` states who may use each."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView, PasswordChangeDoneView, PasswordChangeView
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from . import errors, health, metrics, views, workers_admin

api = [
    path("", include("training.api.urls")),
    path("", include("monitoring.api.urls")),
    path("", include("control.api.urls")),
    path("", include("alerts.api.urls")),
]

urlpatterns = [
    path("api/v1/", include(api)),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path("api/", RedirectView.as_view(url="/api/docs/"), name="api"),
    path("login", views.Login.as_view(), name="login"),
    path("login/once/<str:token>", views.login_once, name="login-once"),
    path("logout", LogoutView.as_view(), name="logout"),
    path(
        "password",
        PasswordChangeView.as_view(template_name="scaleweb/password.html", success_url="/password/done"),
        name="password",
    ),
    path(
        "password/done",
        PasswordChangeDoneView.as_view(template_name="scaleweb/password_done.html"),
        name="password-done",
    ),
    path("favicon.ico", RedirectView.as_view(url="/static/scaleweb/icon.svg"), name="favicon"),
    path("healthz", health.healthz, name="healthz"),
    path("metrics", metrics.Metrics.as_view(), name="metrics"),
    path("admin/workers/", admin.site.admin_view(workers_admin.workers), name="admin-workers"),
    path("admin/", admin.site.urls),
    # The pages of contracts.md section 7: the front end reads the address itself.
    path("", views.application, name="page"),
    path("experiments/<int:pk>", views.application, name="page-experiment"),
    path("runs/<slug:code>", views.application, name="page-run"),
    path("needs", views.application, name="page-needs"),
    path("compare", views.application, name="page-compare"),
    path("nodes", views.application, name="page-nodes"),
    path("nodes/<str:name>", views.application, name="page-node"),
    path("queue", views.application, name="page-queue"),
    path("submit", views.application, name="page-submit"),
    path("alerts", views.application, name="page-alerts"),
    path("settings", views.application, name="page-settings"),
    path("v/<slug:code>", views.application, name="page-view"),
    # What it shows comes by the token behind the # of its address, which is not sent here.
    path("shared", views.shared, name="page-shared"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.server_error
