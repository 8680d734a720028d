"""Serves the built front end and the packages' static files, straight from where they lie."""

import gzip
from functools import lru_cache

from django.http import HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware

TEXT = ("text/", "image/svg+xml", "application/json", "application/javascript")
WORTH_BYTES = 1024  # below that one packet carries it anyhow


@lru_cache(maxsize=256)
def compressed(content: bytes) -> bytes:
    """Once for each file of the build; they are some dozens."""
    return gzip.compress(content, 9, mtime=0)


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise under ASGI: a file is answered whole.

    Its own answer is a synchronous stream, which Django reads whole in a thread and warns about. Ours are at
    most a few megabytes. Files are looked for when they are asked for, and not listed at the start: a rebuilt front end
    needs no restart, and one of hundreds of files of the admin and the API's pages is not looked at for each handler
    that is made. Text goes out in gzip to who takes it, at a third of its size: no proxy is needed for that.
    """

    def add_files_from_finders(self):
        pass

    def add_files(self, root, prefix=None):
        pass  # what collectstatic would have copied there is served from where it was copied from

    def __call__(self, request):
        if not request.path_info.startswith(self.static_prefix):
            return self.get_response(request)
        found = self.find_file(request.path_info)
        return self.get_response(request) if found is None else self.serve(found, request)

    @staticmethod
    def serve(static_file, request):
        # The tag of what went out in gzip is weak; it names the same file.
        headers = dict(request.META)
        if tag := headers.get("HTTP_IF_NONE_MATCH"):
            headers["HTTP_IF_NONE_MATCH"] = tag.removeprefix("W/")
        answer = static_file.get_response(request.method, headers)
        content = b""
        if answer.file is not None:
            with answer.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(answer.status))
        del response["Content-Type"]
        for name, value in answer.headers:
            response[name] = value
        text = response.get("Content-Type", "").startswith(TEXT) and "Content-Encoding" not in response
        if text:
            response["Vary"] = "Accept-Encoding"
        whole = answer.status == 200 and len(content) >= WORTH_BYTES
        if text and whole and "gzip" in request.META.get("HTTP_ACCEPT_ENCODING", ""):
            response.content = compressed(content)
            response["Content-Encoding"] = "gzip"
            response["Content-Length"] = str(len(response.content))
            if tag := response.get("ETag"):
                response["ETag"] = f"W/{tag}"
        return response
