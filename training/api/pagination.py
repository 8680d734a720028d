"""Pages by key, not by offset: the thousandth page costs what the first does."""

from rest_framework.pagination import CursorPagination


class KeySetPagination(CursorPagination):
    ordering = "-id"
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1000
