"""The built-in trainers are scripts like any user's: they run without a server, learn, and refuse in words."""

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from training.idx import BadIdxFile, read_idx, read_labelled_images
from training.trainers import cartpole, cnn, gpt

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def alone(tmp_path, monkeypatch):
    """A folder and an environment without any server."""
    for name in (
        "SCALEWEB_URL",
        "SCALEWEB_TOKEN",
        "SCALEWEB_RUN",
        "SCALEWEB_RESUME",
        "SCALEWEB_CHECKPOINT_DIR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCALEWEB_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


def script(name, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-m", f"training.trainers.{name}", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def write_idx(path, array, packed=False):
    data = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4) for size in array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)


def idx_folder(folder, packed=False, dash="-", side=28):
    """The digits as MNIST's four files."""
    data = load_digits()
    images = np.zeros((400, side, side), np.uint8)
    images[:, 6:22, 6:22] = np.kron(data.images[:400] * 15, np.ones((2, 2))).astype(np.uint8)
    labels = data.target[:400].astype(np.uint8)
    end = ".gz" if packed else ""
    for part, rows in (("train", slice(0, 300)), ("t10k", slice(300, 400))):
        write_idx(folder / f"{part}-images{dash}idx3-ubyte{end}", images[rows], packed)
        write_idx(folder / f"{part}-labels{dash}idx1-ubyte{end}", labels[rows], packed)
    return folder


# -- without a server ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("cnn", ["--steps", 30, "--validate-every", 15], "step 30: val/loss"),
        ("gpt", ["--steps", 12, "--width", 16, "--layers", 1, "--validate-every", 6], "step 12: val/loss"),
        ("cartpole", ["--steps", 3, "--moves", 64, "--validate-every", 3], "step 3: val/moves"),
    ],
)
def test_a_trainer_runs_as_an_ordinary_script(alone, name, arguments, says):
    done = script(name, *arguments, cwd=alone)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert list((alone / "spool").iterdir()), "the run is kept for `scaleweb sync`"


@pytest.mark.parametrize(
    ("trainer", "arguments", "words"),
    [
        (cnn, ["--lr", "0"], "--lr 0.0: expected a number above 0"),
        (cnn, ["--lr", "nan"], "--lr nan: expected a number above 0"),
        (cnn, ["--lr", "fast"], "invalid float value: 'fast'"),
        (cnn, ["--steps", "0"], "--steps 0: expected at least 1"),
        (cnn, ["--threads", "0"], "--threads 0: expected at least 1"),
        (cnn, ["--noise", "-1"], "--noise -1.0: expected 0 or more"),
        (cnn, ["--workers", "-1"], "--workers -1: expected 0 or more"),
        (cnn, ["--checkpoint-every", "-5"], "--checkpoint-every -5: expected 0"),
        (gpt, ["--width", "65"], "--width 65 cannot be split over --heads 4"),
        (gpt, ["--batch-size", "-1"], "--batch-size -1: expected at least 1"),
        (gpt, ["--clip", "0"], "--clip 0.0: expected a norm above 0"),
        (cartpole, ["--discount", "1.5"], "--discount 1.5: expected 0 to 1"),
        (cartpole, ["--entropy", "-1"], "--entropy -1.0: expected 0 to 1"),
    ],
)
def test_arguments_that_cannot_be_are_refused_in_words(capsys, trainer, arguments, words):
    with pytest.raises(SystemExit) as ended:
        trainer.arguments(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_batch_larger_than_the_data_is_refused(alone):
    done = script("cnn", "--batch-size", 5000, "--steps", 3, cwd=alone)
    assert done.returncode == 2
    assert "cnn: --batch-size 5000 is more than the 1437 images to train on" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "expected at least 10,000"),
        ({"a.txt": "x" * 20_000}, "0 characters in files like *.py"),
        (None, "no such folder"),
    ],
)
def test_a_folder_without_text_is_refused_in_words(alone, files, words):
    folder = alone / "texts"
    if files is not None:
        folder.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
    done = script("gpt", "--data", folder, "--steps", 3, cwd=alone)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


# -- IDX -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("packed", "dash"), [(False, "-"), (True, "-"), (False, "."), (True, ".")])
def test_a_folder_of_idx_files_is_read_gzipped_or_plain(tmp_path, packed, dash):
    idx_folder(tmp_path, packed, dash)
    images, labels = read_labelled_images(tmp_path, "train")
    assert (images.shape, labels.shape) == ((300, 28, 28), (300,))
    assert labels.tolist() == load_digits().target[:300].tolist()
    assert images[0, 6:22:2, 6:22:2].tolist() == (load_digits().images[0] * 15).astype(int).tolist()


def test_the_classifier_trains_on_a_folder_of_idx_files(alone):
    done = script(
        "cnn", "--data", idx_folder(alone, packed=True), "--steps", 20, "--batch-size", 32, cwd=alone
    )
    assert done.returncode == 0, done.stderr
    assert "step 20: val/loss" in done.stdout


def damaged(folder, damage):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    if damage == "no folder":
        return folder / "nowhere"
    if damage == "no labels":
        labels.unlink()
    elif damage == "cut short":
        images.write_bytes(images.read_bytes()[:-100])
    elif damage == "cut short gzip":
        images.write_bytes(gzip.compress(images.read_bytes())[:-100])
    elif damage == "no IDX":
        images.write_bytes(b"PNG and so on")
    elif damage == "empty":
        images.write_bytes(b"")
    elif damage == "floats":
        images.write_bytes(b"\0\0\x0d\x03" + images.read_bytes()[4:])
    elif damage == "a huge header":
        images.write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    elif damage == "labels of other images":
        write_idx(labels, np.zeros(299, np.uint8))
    elif damage == "label 10":
        write_idx(labels, np.full(300, 10, np.uint8))
    elif damage == "other size":
        idx_folder(folder, side=30)
    return folder


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("no folder", "there is no such folder"),
        ("no labels", "holds none of train-labels-idx1-ubyte, train-labels-idx1-ubyte.gz"),
        ("cut short", "its header says 300 x 28 x 28 = 235200: cut short?"),
        ("cut short gzip", "cannot be read"),
        ("no IDX", "an IDX file starts with 00 00"),
        ("empty", "starts with nothing"),
        ("floats", "holds values of type 0x0d; expected unsigned bytes, 0x08"),
        ("a huge header", "cut short?"),
        ("labels of other images", "300 train images but 299 labels"),
        ("label 10", "a train label is 10; expected 0 to 9"),
        ("other size", "train images are 30 x 30; expected 28 x 28"),
    ],
)
def test_a_bad_folder_is_refused_in_words(tmp_path, damage, words):
    with pytest.raises(BadIdxFile) as refused:
        cnn.idx_folder(damaged(idx_folder(tmp_path), damage))
    assert words in str(refused.value)


def test_the_script_ends_with_the_sentence_and_no_traceback(alone):
    done = script("cnn", "--data", alone / "nowhere", cwd=alone)
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"cnn: {alone / 'nowhere'}: there is no such folder")


def test_one_array_of_bytes_is_read_back_as_written(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    write_idx(tmp_path / "array", array)
    assert (read_idx(tmp_path / "array") == array).all()


# -- learning ------------------------------------------------------------------------------------


def test_the_classifier_learns_within_a_few_hundred_steps(alone):
    figures = cnn.train(cnn.arguments(["--steps", "250", "--batch-size", "64"]))
    assert figures["val/accuracy"] > 0.8


def test_the_classifiers_steps_of_one_seed_are_the_same_each_time(alone):
    short = ["--steps", "12", "--seed", "3"]
    assert cnn.train(cnn.arguments(short)) == cnn.train(cnn.arguments(short))


def test_the_gpts_loss_falls_clearly(alone):
    small = [
        "--width",
        "32",
        "--layers",
        "1",
        "--warm-up",
        "20",
        "--validate-every",
        "40",
        "--batch-size",
        "8",
    ]
    figures = gpt.train(gpt.arguments([*small, "--steps", "160"]))
    # A uniform guess over 98 characters costs 4.58 nats; their frequencies alone, about 3.4.
    assert figures["val/loss"] < 3.0


def test_the_agent_learns_to_hold_the_pole(alone):
    figures = cartpole.train(
        cartpole.arguments(["--steps", "25", "--moves", "400", "--validate-every", "25"])
    )
    # Untrained it stands for about 10 to 20 moves.
    assert figures["val/moves"] > 100


@pytest.mark.parametrize("name", ["cnn", "gpt"])
def test_a_gpu_that_is_not_there_is_refused_in_words(name, alone, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    ended = script(name, "--device", "cuda", "--steps", "1", cwd=alone)
    assert ended.returncode == 2
    assert "--device cuda" in ended.stderr
    assert "expected auto or cpu here" in ended.stderr
