"""Why a job cannot be queued."""


class JobRefused(Exception):
    """`field`: the argument at fault; `message`: what was wrong and what would do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field
        self.message = message
