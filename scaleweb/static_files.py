"""Serves the built front end and the packages' static files, straight from where they lie."""

from pathlib import Path

from django.http import HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware


class StaticFiles(WhiteNoiseMiddleware):
    """WhiteNoise under ASGI: a file is answered whole.

    Its own answer is a synchronous stream, which Django reads whole in a thread and warns about. Ours are at
    most a few megabytes. A file built since the start is found too, so a rebuilt front end needs no restart.
    """

    def add_files(self, root, prefix=None):
        # Nobody has to run collectstatic, so the folder for what it collects is often not there.
        if Path(root).is_dir():
            super().add_files(root, prefix)

    def __call__(self, request):
        if not request.path_info.startswith(self.static_prefix):
            return self.get_response(request)
        found = self.files.get(request.path_info) or self.find_file(request.path_info)
        return self.get_response(request) if found is None else self.serve(found, request)

    @staticmethod
    def serve(static_file, request):
        answer = static_file.get_response(request.method, request.META)
        content = b""
        if answer.file is not None:
            with answer.file as file:
                content = file.read()
        response = HttpResponse(content, status=int(answer.status))
        del response["Content-Type"]
        for name, value in answer.headers:
            response[name] = value
        return response
