"""What a script hands over: copied, encoded, kept on disk, sent; bad input costs itself alone."""

import io
import json
import time
import wave

import numpy
import pytest

import scaleweb_sdk
from scaleweb_sdk.media import encode, numbers
from scaleweb_sdk.media.freeze import Unusable, freeze
from scaleweb_sdk.sync import sync
from tests.support.domain import a_member, a_project, a_run, a_run_token
from tests.support.wait import until
from training.media import files
from training.models import ApiToken, Media, Run, TokenKind

site = [pytest.mark.processes, pytest.mark.django_db(transaction=True, databases="__all__")]


def pixels(body):
    import zlib

    assert body[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = int.from_bytes(body[16:20], "big"), int.from_bytes(body[20:24], "big")
    at = body.index(b"IDAT")
    raw = zlib.decompress(body[at + 4 : at + 4 + int.from_bytes(body[at - 4 : at], "big")])
    line = len(raw) // height
    return width, height, [list(raw[row * line + 1 : (row + 1) * line]) for row in range(height)]


@pytest.fixture(params=["numpy", "none"])
def with_and_without_numpy(request, monkeypatch):
    if request.param == "none":
        monkeypatch.setattr(numbers, "numpy", None)


@pytest.mark.usefixtures("with_and_without_numpy")
class TestEncoding:
    @pytest.mark.parametrize(("value", "expected"), [
        ([[0.0, 0.5], [1.0, float("nan")]], (2, 2, [[0, 128], [255, 0]])),
        ([[0, 255, 300]], (3, 1, [[0, 255, 255]])),
        ([[[1, 2, 3], [4, 5, 6]]], (2, 1, [[1, 2, 3, 4, 5, 6]])),
        ([[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 10], [11, 12]]],
         (2, 2, [[1, 5, 9, 2, 6, 10], [3, 7, 11, 4, 8, 12]])),
    ])  # fmt: skip
    def test_arrays_of_any_order_become_png(self, value, expected):
        assert pixels(encode.encode("image", value, {}).body) == expected

    def test_samples_become_wav(self):
        made = encode.encode("audio", [0.0, 1.0, -1.0, 2.0], {"rate": 8000})
        with wave.open(io.BytesIO(made.body)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8000, 1, 4)
            assert file.readframes(4) == b"\x00\x00\xff\x7f\x01\x80\xff\x7f"

    def test_values_become_bins_and_what_is_not_finite_is_said(self):
        made = encode.encode("histogram", [0.0, 1.0, 2.0, 3.0, float("inf")], {"bins": 3})
        assert made.data == {"edges": [0.0, 1.0, 2.0, 3.0], "counts": [1.0, 1.0, 2.0]}
        assert made.remark == "1 values that are not finite were left out"
        assert encode.encode("histogram", [5.0] * 9, {"bins": 3}).data["counts"] == [9.0]

    @pytest.mark.parametrize(("kind", "value", "how", "words"), [
        ("image", [[["a"]]], {}, "not an array of numbers|expected numbers"), ("image", [1, 2], {}, "the shape H x W"),
        ("image", [[]], {}, "shape"), ("audio", [0.0], {}, "rate in hertz"),
        ("audio", [[[0.0]]], {"rate": 8000}, "n x channels"),
        ("histogram", [], {"bins": 4}, "finite"), ("histogram", [1.0], {"bins": 10_000}, "1 to 512"),
        ("histogram", [1.0], {"bins": 4, "edges": [1, 2, 3]}, "edges"),
        ("table", [[1], [1, 2]], {"columns": ["a"]}, "row 1 has 2"),
        ("table", {"a": [1], "b": []}, {}, "equally long"), ("table", [1, 2], {}, "rows"),
    ])  # fmt: skip
    def test_what_cannot_be_is_said_in_words(self, kind, value, how, words):
        with pytest.raises(Unusable, match=words):
            encode.encode(kind, value, how)


def test_a_million_rows_become_ten_thousand_and_say_so():
    frozen, _ = freeze("table", [[1, float("nan")]] * 1_000_000, {})
    made = encode.encode("table", frozen, {"columns": ["n", "x"]})
    kept = json.loads(made.body)
    assert (kept["columns"], len(kept["rows"]), kept["rows"][-1]) == (["n", "x"], 10_000, [1, "nan"])
    assert made.remark == "of 1000000 rows the first 10000 were kept"
    assert made.data["rows_given"] == 1_000_000


@pytest.mark.parametrize("value", [
    [{"a": 1, "b": "x"}, {"a": 2, "b": None}], {"a": [1, 2], "b": ["x", None]},
])  # fmt: skip
def test_tables_come_in_the_forms_that_scripts_have(value):
    frozen, _ = freeze("table", value, {})
    assert json.loads(encode.encode("table", frozen, {}).body) == {
        "columns": ["a", "b"],
        "rows": [[1, "x"], [2, None]],
    }


class TestWithTheServer:
    pytestmark = site

    @pytest.fixture
    def row(self, live_site):
        return a_run(a_project("default"))

    @pytest.fixture
    def begin(self, live_site, row, tmp_path, monkeypatch):
        monkeypatch.setenv("SCALEWEB_RUN", row.code)

        def begin(**more):
            given = {
                "url": live_site.url,
                "token": a_run_token(row),
                "dir": tmp_path / "spool",
                "capture": False,
            }
            return scaleweb_sdk.init(**given | more)

        return begin

    def test_what_a_script_logs_is_on_the_server_when_it_has_finished(self, row, begin, tmp_path):
        torch = pytest.importorskip("torch")
        (tmp_path / "notes.bin").write_bytes(b"\x00\x01" * 3_000_000)  # two pieces
        run = begin()
        picture = numpy.zeros((4, 5, 3), "uint8")
        run.log_image("samples", [picture, torch.rand(3, 8, 8)], step=7, caption=["one", "two"])
        picture[:] = 255  # what is changed later is not seen
        run.log_audio("voice", numpy.zeros(100), rate=8000)
        run.log_table("wrong ones", [[1, "x"]], ["id", "word"])
        run.log_histogram("weights/fc", torch.randn(1000).bfloat16())
        run.log_text("poem", "Grüße\n<script>")
        run.log_file(tmp_path / "notes.bin")
        assert run.finish(timeout=30)
        found = {(each.key, each.place): each for each in Media.objects.filter(run=row)}
        assert sorted(found) == [
            ("notes.bin", 0), ("poem", 0), ("samples", 0), ("samples", 1), ("voice", 0),
            ("weights/fc", 0), ("wrong ones", 0),
        ]  # fmt: skip
        first = found["samples", 0]
        assert (first.step, first.caption, first.data) == (7, "one", {"width": 5, "height": 4})
        assert pixels(files.path(row.code, first.sha256).read_bytes())[2][0] == [0] * 15
        assert sum(found["weights/fc", 0].data["counts"]) == 1000
        assert found["notes.bin", 0].size_bytes == 6_000_000
        assert not list((tmp_path / "spool").iterdir())

    def test_bad_input_costs_itself_and_is_on_the_record(self, row, begin, settings, tmp_path):
        settings.MEDIA_FILE_BYTES = 2**20
        (tmp_path / "large.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"x" * 2**21)
        (tmp_path / "page.png").write_bytes(b"<svg onload=alert(1)>")
        run = begin()
        run.log_image("k" * 301, numpy.zeros((2, 2)))
        run.log_image("shape", numpy.zeros((2, 2, 2, 2)))
        run.log_image("type", object())
        run.log_image("large", tmp_path / "large.png")
        run.log_image("page", tmp_path / "page.png")
        run.log_file(tmp_path / "nowhere")
        run.log_text("poem", "good")
        run.step({"loss": 1.0})
        until(lambda: Media.objects.filter(run=row, key="poem").exists())
        until(lambda: row.events.filter(reason__contains="not PNG, JPEG").exists())
        assert run.finish(timeout=30)
        said = "\n".join(row.events.values_list("reason", flat=True))
        for words in (
            "1 to 300 characters",
            "H x W",
            "object is not something",
            "at most 1 MiB are kept",
            "no file",
        ):
            assert words in said
        assert [each.key for each in Media.objects.filter(run=row)] == ["poem"]

    def test_an_offline_run_keeps_its_media_and_sync_sends_them(self, live_site, tmp_path):
        person = ApiToken.issue(TokenKind.USER, user=a_member(a_project("default")))[1]
        run = scaleweb_sdk.init(experiment="later", mode="offline", dir=tmp_path, capture=False)
        run.log_text("poem", "kept")
        run.log_histogram("weights", [1.0, 2.0])
        run.finish()
        assert list(tmp_path.glob("*.media/*.item"))
        results = sync(tmp_path, live_site.url, person)
        assert results.failed == 0, results.said
        assert sorted(Media.objects.filter(run=Run.objects.get()).values_list("key", flat=True)) == [
            "poem",
            "weights",
        ]
        assert not list(tmp_path.iterdir())


def test_a_server_that_is_away_costs_no_step_and_loses_nothing(tmp_path):
    run = scaleweb_sdk.init(url="http://127.0.0.1:9", token="sw_user_x", dir=tmp_path, capture=False)
    picture = numpy.zeros((64, 64, 3), "uint8")
    longest = 0.0
    for step in range(50):
        began = time.thread_time()
        run.log_image("samples", picture, step=step)
        longest = max(longest, time.thread_time() - began)
    assert longest < 0.05
    until(lambda: len(list(tmp_path.glob("*.media/*.item"))) == 50)
    assert run.finish(timeout=0.5) is False
    assert len(list(tmp_path.glob("*.media/*.bin"))) == 50
