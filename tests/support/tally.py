"""How many faults of each kind were made: a line each, added to the file that FAULTS_TALLY names, if it does."""

import os
from collections import Counter
from pathlib import Path


def made(fault: str) -> None:
    if path := os.environ.get("FAULTS_TALLY"):
        with open(path, "a") as file:
            file.write(f"{fault}\n")


def count(path: Path) -> Counter[str]:
    return Counter(path.read_text().splitlines()) if path.exists() else Counter()
