"""Regular expressions that people type: searched in time linear in the text, whatever the pattern.

RE2 knows no back references and no look-around, which is what makes other engines hang.
"""

import re2

MAX_PATTERN = 500
MAX_PROGRAM_BYTES = 2**20  # of a compiled pattern: a{1000}{1000} is refused instead of built


class BadPattern(ValueError):
    """The pattern cannot be used; the message is for the person who typed it."""


def compiled(pattern: str):
    """Ignores case; ^ and $ match at each line. Raises BadPattern."""
    if len(pattern) > MAX_PATTERN:
        raise BadPattern(f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN} are taken.")
    options = re2.Options()
    options.max_mem = MAX_PROGRAM_BYTES
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile(f"(?m){pattern}", options)
    except re2.error as error:
        raise BadPattern(f"{pattern[:80]!r} is no pattern: {words_of(error)}") from None


def words_of(error: Exception) -> str:
    """What RE2 says, with what to do where its own words do not tell."""
    said = error.args[0] if error.args else ""
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    if "invalid perl operator" in text or "invalid escape" in text:
        return f"{text}. Look-around and back references are not taken: they can take for ever."
    if "too large" in text:
        return f"{text}. Repeat fewer times."
    if "missing )" in text or "unexpected )" in text or "missing ]" in text:
        return f"{text}. Close what you open, or write \\( for the letter itself."
    return f"{text}."
