"""Short random codes that name runs and jobs in addresses, commands and series."""

import secrets

# No vowels and no look-alikes: a code is read aloud and never spells a word.
ALPHABET = "23456789bcdfghjkmnpqrstvwxz"


def new_code(length: int = 9) -> str:
    """A code of `length` characters, 4.75 bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
