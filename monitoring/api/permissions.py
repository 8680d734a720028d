"""Who may change what belongs to the whole site."""

from rest_framework.permissions import SAFE_METHODS, IsAuthenticated


class SiteAdmin(IsAuthenticated):
    """Reading needs a login; changing what is the whole site's (nodes) needs a superuser."""

    message = "this needs a site administrator"

    def has_permission(self, request, view) -> bool:
        if not super().has_permission(request, view):
            return False
        return request.method in SAFE_METHODS or bool(request.user.is_superuser)
