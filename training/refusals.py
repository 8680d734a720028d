"""Why a command was not stored."""


class CommandRefused(Exception):
    """The command was not stored. `field`: the argument at fault ("state" when it is the run's state);
    `message`: what was wrong and what would do."""

    def __init__(self, field: str, message: str):
        super().__init__(message)
        self.field = field
        self.message = message
