"""Nested progress bars, as tqdm and rich write them: each is seen in its row, and is one line once it is done.

What they wrote was recorded (tqdm 4.70, rich 15, each state drawn, without rates). tqdm draws an inner bar from the row
of the outer one: down, the bar, and up again.
"""

import random

import pytest

from scaleweb_sdk import terminal
from scaleweb_sdk.terminal import Terminal

WIPED = (
    "\repochs: 0/2\n\rbatches: 0/2\x1b[A\n\rbatches: 1/2\x1b[A\n\rbatches: 2/2\x1b[A\n"
    "\r            \x1b[A\repochs: 1/2\n\rbatches: 0/2\x1b[A\n\rbatches: 1/2\x1b[A\n"
    "\rbatches: 2/2\x1b[A\n\r            \x1b[A\repochs: 2/2\repochs: 2/2\ndone\n"
)
KEPT = (
    "\repochs: 0/2\n\rbatches: 0/2\x1b[A\n\rbatches: 1/2\x1b[A\n\rbatches: 2/2\x1b[A\rbatches: 2/2\n"
    "\r           \repoch 0 is over\n\repochs: 0/2\repochs: 1/2\n\rbatches: 0/2\x1b[A\n"
    "\rbatches: 1/2\x1b[A\n\rbatches: 2/2\x1b[A\rbatches: 2/2\n\r           \repoch 1 is over\n"
    "\repochs: 1/2\repochs: 2/2\repochs: 2/2\n"
)
THREE = (
    "\ra: 0/2\n\rb: 0/1\x1b[A\n\n\rc: 0/1\x1b[A\x1b[A\n\n\rc: 1/1\x1b[A\x1b[A\n\n"
    "\r      \x1b[A\x1b[A\n\rb: 1/1\x1b[A\n\r      \x1b[A\ra: 1/2\n\rb: 0/1\x1b[A\n\n"
    "\rc: 0/1\x1b[A\x1b[A\n\n\rc: 1/1\x1b[A\x1b[A\n\n\r      \x1b[A\x1b[A\n\rb: 1/1\x1b[A\n"
    "\r      \x1b[A\ra: 2/2\ra: 2/2\n"
)
RICH = (
    "\x1b[?25l\r\x1b[2Kepochs 0/2\r\x1b[2Kepochs  0/2\nbatches 0/2"
    "\r\x1b[2K\x1b[1A\x1b[2Kepochs  0/2\nbatches 1/2\r\x1b[2K\x1b[1A\x1b[2Kepochs  0/2\nbatches 2/2"
    "\r\x1b[2K\x1b[1A\x1b[2Kepochs  1/2\nbatches 2/2\r\x1b[2K\x1b[1A\x1b[2Kepoch 0 is over\n"
    "epochs  1/2\nbatches 2/2\r\x1b[2K\x1b[1A\x1b[2Kepochs  1/2\nbatches 1/2"
    "\r\x1b[2K\x1b[1A\x1b[2Kepochs  1/2\nbatches 2/2\r\x1b[2K\x1b[1A\x1b[2Kepochs  2/2\nbatches 2/2"
    "\r\x1b[2K\x1b[1A\x1b[2Kepoch 1 is over\nepochs  2/2\nbatches 2/2"
    "\r\x1b[2K\x1b[1A\x1b[2Kepochs  2/2\nbatches 2/2\n\x1b[?25hdone\n"
)

# What is stored of each, what of it where it came in pieces, and what was seen to stand there.
RECORDED = {
    "inner bars that are wiped out": (WIPED, ["epochs: 2/2", "done"], ["epochs: 1/2", "batches: 1/2"]),
    "inner bars that stay": (
        KEPT,
        ["batches: 2/2", "epoch 0 is over", "batches: 2/2", "epoch 1 is over", "epochs: 2/2"],
        ["epochs: 1/2", "batches: 1/2"],
    ),
    "three levels": (THREE, ["a: 2/2"], ["a: 1/2", "b: 0/1", "c: 1/1"]),
    "rich": (
        RICH,
        ["epoch 0 is over", "epoch 1 is over", "epochs  2/2", "batches 2/2", "\x1b[?25hdone"],
        ["epochs  1/2", "batches 1/2"],
    ),
}


@pytest.mark.parametrize("name", RECORDED)
def test_each_of_nested_bars_is_one_line_once_it_is_done(name):
    written, stored, _ = RECORDED[name]
    screen = Terminal()
    assert screen.write(0.0, written) + screen.settle(0.0) + screen.finish() == stored
    assert screen.finish() == []


@pytest.mark.parametrize("name", RECORDED)
def test_the_bars_are_the_same_wherever_the_reading_cuts_what_was_written(name):
    written, stored, seen = RECORDED[name]
    screen, found, stood = Terminal(), [], []
    for letter in written:
        found += screen.write(0.0, letter)
        stood.append(screen.open(0.0))
    found += screen.finish()
    # rich draws all of its bars at once, and tqdm goes up two rows: where that is cut, a first state may be stored.
    assert found[-len(stored) :] == stored
    assert len(found) <= len(stored) + (written in (RICH, THREE))
    assert seen in stood
    assert max(map(len, stood)) <= len(seen) + 1, "at most one that is over beside those that move"


def test_bars_that_go_on_for_long_take_no_room_and_are_not_stored():
    screen, stored = Terminal(), []
    stored += screen.write(0.0, "\repochs 0%\n\rbatches 0%\x1b[A")
    for step in range(20_000):
        stored += screen.write(step / 10, f"\n\rbatches {step}\x1b[A")
        if step % 100 == 0:
            stored += screen.settle(step / 10)
            assert screen.open(step / 10) == ["epochs 0%", f"batches {step}"]
    assert stored == []
    assert screen.kept_from(10**9) <= 1, "who reads again from there has the outer bar"
    again = Terminal()
    again.write(0.0, "\n\rbatches 19999\x1b[A")
    assert screen.position - screen.kept_from(1000) < 1000
    assert again.open(0.0) == ["batches 19999"]


def test_what_stands_above_a_block_that_nobody_draws_any_more_is_stored_after_a_while():
    screen = Terminal()
    assert screen.write(10.0, "\rone\n\rtwo\x1b[A\rone, over\ntwo, over") == []
    assert screen.settle(10.0 + terminal.QUIET_SECONDS - 1) == []
    assert screen.open(10.0) == ["one, over", "two, over"]
    assert screen.settle(10.0 + terminal.QUIET_SECONDS) == ["one, over"]
    assert screen.write(20.0, "\nplain\n") == ["two, over", "plain"]


def test_a_bar_whose_row_was_left_already_is_told_anew_in_its_place():
    screen = Terminal()
    assert screen.write(0.0, "\repochs 0%\n") + screen.settle(0.0) == ["epochs 0%"]
    assert screen.write(1.0, "\rbatches 5%\x1b[A") == []
    assert screen.open(1.0) == ["batches 5%"]
    assert screen.write(2.0, "\repochs 1%") == []
    assert screen.open(2.0) == ["epochs 1%", "batches 5%"]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("a\nb\n\nc", ["a", "b", "", "c"]),
        ("a\n" * 1000, ["a"] * 1000),
        ("\x1b[9999A\x1b[9999Bx\n", ["x"]),
        ("\x1b[A" * 1000 + "top\n", ["top"]),
        ("gone\r\x1b[Kstays\n", ["stays"]),
        ("one\ntwo\n\x1b[2F\x1b[Jthree\n", ["three"]),
        ("\r50%\r\x1b[K", []),
        ("cut \x1b[3", ["cut \x1b[3"]),
        ("\x1b[31mred\x1b[0m\r\n", ["\x1b[31mred\x1b[0m"]),
    ],
)
def test_of_codes_of_all_kinds_the_lines_are_what_a_terminal_shows(written, stored):
    whole = Terminal()
    assert whole.write(0.0, written) + whole.finish() == stored
    in_pieces = Terminal()
    found = [
        text
        for place in range(0, len(written), 7)
        for text in in_pieces.write(0.0, written[place : place + 7])
    ]
    if "\x1b[2F" not in written:  # of what was left before the cursor went up nothing is taken back
        assert found + in_pieces.finish() == stored


def test_whatever_is_written_little_is_kept_and_nothing_is_lost_of_the_lines_that_follow():
    chance = random.Random(5)
    pieces = [
        "\n",
        "\r",
        "a",
        "é ",
        *(f"\x1b[{code}" for code in ["A", "2A", "B", "K", "2K", "J", "3E", "9F", "31m", "?", "12"]),
        "\x1b",
        "\x1b[",
    ]
    for _ in range(300):
        screen, written = Terminal(), ""
        for at in range(chance.randint(1, 60)):
            text = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
            written += text
            screen.write(at, text)
            if chance.random() < 0.3:
                screen.settle(at)
            assert screen.position == len(written)
            assert 0 <= screen.kept_from(100) <= len(written)
            assert len(screen._rows) <= 2 * terminal.MOST_ROWS, written
        found = screen.write(99.0, "\n" * 40 + "one\ntwo\n") + screen.finish()
        assert found[-2:] == ["one", "two"], written


def test_a_row_without_an_end_is_cut():
    screen = Terminal()
    for _ in range(100):
        assert screen.write(0.0, "x" * 1000) == []
        assert len(screen.open(1.0)[0]) <= 2 * terminal.LONGEST_ROW
    [row] = screen.write(0.0, "\n")
    assert terminal.LONGEST_ROW < len(row) <= 2 * terminal.LONGEST_ROW
