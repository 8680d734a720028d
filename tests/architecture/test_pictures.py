"""The pictures in the docs are those that the command takes."""

import re
from pathlib import Path

from scripts.pictures.pages import FORMAT, SIZES, THEMES, pages
from scripts.pictures.story import Story

TOP = Path(__file__).resolve().parents[2]
FOLDER = TOP / "docs" / "images" / "pages"
MOST_BYTES = 5 * 2**20


def test_each_picture_of_each_page_is_there_shown_and_small():
    story = Story(sweep=1, rescue=2, runs=["a"], live="b", rescued="c", whole="d", link="e")
    taken = {f"{page}-{size}-{theme}.{FORMAT}" for page in pages(story) for size in SIZES for theme in THEMES}
    shown = set(re.findall(r'images/pages/([^")]+)', (TOP / "docs" / "pages.md").read_text()))
    there = {each.name for each in FOLDER.iterdir()}
    assert shown == taken, "docs/pages.md does not show what scripts/pictures/pages.py takes"
    assert there == taken, "run `python -m scripts.pictures`; a picture is missing, or left over"
    assert sum(each.stat().st_size for each in FOLDER.iterdir()) < MOST_BYTES
