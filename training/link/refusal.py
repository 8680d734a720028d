"""Why the server ends a link, as an exception that becomes the last frame."""

from scaleweb_sdk.protocol import Refusal

# Close codes beside the frame, for clients that look at nothing else.
CLOSE_CODES = {"bad_token": 4401, "wrong_run": 4403, "stale_attempt": 4409, "busy": 4409, "unavailable": 1013}
OTHER_CLOSE_CODE = 4400


class Refused(Exception):
    """Ends the connection. `final`: connecting again would not help."""

    def __init__(self, code: str, message: str, final: bool = False):
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.final = final

    @property
    def frame(self) -> Refusal:
        return Refusal(self.code, self.message, self.final)

    @property
    def close_code(self) -> int:
        return CLOSE_CODES.get(self.code, OTHER_CLOSE_CODE)
