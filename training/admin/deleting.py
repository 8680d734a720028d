"""Deleting from the admin: through the domain, as everywhere."""

from django.contrib import admin, messages

from training import states


class DeletesWithSeries(admin.ModelAdmin):
    """Deletes through the domain, which refuses what is live and takes the series along."""

    def remove(self, thing) -> None:
        raise NotImplementedError

    def get_deleted_objects(self, objs, request):
        listed, counts, _, protected = super().get_deleted_objects(objs, request)
        # Commands, events and attempts are read-only by themselves; with their run they may go.
        return listed, counts, set(), protected

    def delete_model(self, request, obj) -> None:
        self.delete_queryset(request, [obj])

    def delete_queryset(self, request, queryset) -> None:
        for thing in list(queryset):
            try:
                self.remove(thing)
            except states.IllegalMove as error:
                self.message_user(request, f"Not deleted: {error}", messages.ERROR)
