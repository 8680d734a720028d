"""The API's addresses of the monitoring layer, under /api/v1/."""

from django.urls import path

from . import nodes

urlpatterns = [
    path("nodes", nodes.Nodes.as_view(), name="nodes"),
    path("nodes/<str:name>", nodes.NodeDetail.as_view(), name="node"),
    path("nodes/<str:name>/labels", nodes.Labels.as_view(), name="node-labels"),
    path("nodes/<str:name>/cordon", nodes.Cordon.as_view(), name="node-cordon"),
    path("nodes/<str:name>/drain", nodes.Drain.as_view(), name="node-drain"),
    path("nodes/<str:name>/uncordon", nodes.Uncordon.as_view(), name="node-uncordon"),
]
