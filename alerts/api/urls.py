"""The alerts' addresses, below /api/v1/."""

from django.urls import path

from . import alerts, channels, rules

urlpatterns = [
    path("alerts", alerts.Alerts.as_view(), name="alerts"),
    path("alerts/<int:pk>/acknowledge", alerts.Acknowledge.as_view(), name="alert-acknowledge"),
    path("alerts/conditions", rules.Conditions.as_view(), name="alert-conditions"),
    path("alerts/rules", rules.Rules.as_view(), name="alert-rules"),
    path("alerts/rules/preview", rules.Preview.as_view(), name="alert-preview"),
    path("alerts/rules/<int:pk>", rules.RuleDetail.as_view(), name="alert-rule"),
    path("alerts/rules/<int:pk>/restore", rules.RestoreRule.as_view(), name="alert-rule-restore"),
    path("alerts/channels", channels.Channels.as_view(), name="alert-channels"),
    path("alerts/channels/<int:pk>", channels.ChannelDetail.as_view(), name="alert-channel"),
    path("alerts/channels/<int:pk>/test", channels.TestChannel.as_view(), name="alert-channel-test"),
    path("alerts/deliveries", channels.Deliveries.as_view(), name="alert-deliveries"),
]
