"""Folders that are packed, sent, kept once and unpacked where they run."""

import io
import os
import subprocess
import sys
import tarfile
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone

from monitoring.storage import logs
from scaleweb_sdk import pack as packing
from scaleweb_sdk.cli import main
from scaleweb_sdk.pack import CannotPack, pack
from tests.jobs.conftest import bench, broker, experiment, live_site  # noqa: F401
from tests.support.domain import a_member
from tests.support.wait import until
from training.copies import fetch, files, retention
from training.copies.unpack import BadArchive, unpack
from training.jobs import submit
from training.jobs.clone import clone, with_settings
from training.jobs.fork import LIKE
from training.jobs.refused import JobRefused
from training.models import ApiToken, Job, TokenKind, WorkingCopy


def tree(folder, **contents):
    for name, text in contents.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def members(packed):
    with tarfile.open(packed.path) as tar:
        return sorted(tar.getnames())


def test_what_ignore_files_name_is_left_out_and_the_same_files_make_the_same_archive(tmp_path):
    folder = tree(
        tmp_path / "code", train_py="x", data__big_bin="x", data__keep_txt="x", out_log="x", sub__a_log="x"
    )
    (folder / ".gitignore").write_text("*.log\ndata/*\n!data/keep.txt\n")
    (folder / "sub" / ".scalewebignore").write_text("!a.log\n")
    (folder / "here").symlink_to("train.py")
    first = pack(folder, tmp_path / "1")
    assert members(first) == [
        ".gitignore",
        "data/keep.txt",
        "here",
        "sub/.scalewebignore",
        "sub/a.log",
        "train.py",
    ]
    os.utime(folder / "train.py", (1, 1))
    assert pack(folder, tmp_path / "2").sha256 == first.sha256
    (folder / "train.py").write_text("y")
    assert pack(folder, tmp_path / "3").sha256 != first.sha256


def test_a_folder_of_ten_gigabytes_is_refused_with_its_largest_files(tmp_path):
    folder = tree(tmp_path / "code", train_py="x")
    with open(folder / "weights.bin", "wb") as file:
        file.truncate(10 * 2**30)  # a hole: it takes no room on the disk
    with pytest.raises(CannotPack) as refused:
        pack(folder, tmp_path / "1")
    assert "has 10,240 MiB in 2 files; at most 1,024 MiB" in str(refused.value)
    assert "The largest: weights.bin (10,240 MiB), train.py (1 bytes)" in str(refused.value)
    assert ".scalewebignore" in str(refused.value)


@pytest.mark.parametrize("where", ["/etc/passwd", "../other"])
def test_a_link_that_leads_out_is_refused_by_its_name(tmp_path, where):
    folder = tree(tmp_path / "code", train_py="x")
    (folder / "data").symlink_to(where)
    with pytest.raises(CannotPack, match="the link data leads out of the folder"):
        pack(folder, tmp_path / "1")


def git(folder, *words):
    named = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *named, *words], cwd=folder, check=True, capture_output=True)


def repository(folder):
    tree(folder, train_py="print('first')\n", notes_txt="x")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "train.py")
    git(folder, "commit", "-qm", "one")
    git(folder, "remote", "add", "origin", "https://ada:secret@example.org/code.git")
    return folder


def test_a_revision_that_the_repository_does_not_have_is_said_so(tmp_path):
    origin, folder = tmp_path / "origin", tmp_path / "attempt"
    folder.mkdir()
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q", origin], ["-C", origin, *who, "commit", "-q", "--allow-empty", "-m", "One"]):
        subprocess.run(["git", *words], check=True)
    job = SimpleNamespace(git={"url": f"file://{origin}", "revision": "nosuch"})
    with pytest.raises(fetch.CannotFetch, match=r"^the repository has no commit, branch or tag 'nosuch'$"):
        fetch.clone(job, folder)


def test_a_file_that_goes_while_the_folder_is_packed_is_left_out(tmp_path, monkeypatch):
    folder = tree(tmp_path / "code", train_py="1", checkpoint_tmp="2", last_tmp="3")
    names = packing.walked(folder)

    def walked_then_removed(_):
        yield from sorted(names)
        (folder / "checkpoint.tmp").unlink()

    sizes = packing.check_size

    def sized_then_removed(*given):
        sizes(*given)
        (folder / "last.tmp").unlink()

    monkeypatch.setattr(packing, "walked", walked_then_removed)
    monkeypatch.setattr(packing, "check_size", sized_then_removed)
    packed = pack(folder, tmp_path / "copy.tar.gz")
    with tarfile.open(packed.path) as archive:
        assert archive.getnames() == ["train.py"]


def test_a_file_that_cannot_be_read_is_named_with_what_to_do(tmp_path, monkeypatch):
    folder = tree(tmp_path / "code", train_py="1")
    monkeypatch.setattr(
        packing.tarfile.TarFile,
        "addfile",
        lambda *_: (_ for _ in ()).throw(OSError("unexpected end of data")),
    )
    with pytest.raises(
        CannotPack, match=r"train.py could not be read \(it became shorter meanwhile\): name it in"
    ):
        pack(folder, tmp_path / "copy.tar.gz")


def test_of_a_repository_what_is_tracked_goes_with_the_commit_and_the_patch(tmp_path):
    folder = repository(tmp_path / "code")
    clean = pack(folder, tmp_path / "1", tracked=True)
    assert members(clean) == ["train.py"]
    assert clean.git["url"] == "https://example.org/code.git"
    assert (len(clean.git["revision"]), clean.git["branch"]) == (40, "main")
    (folder / "train.py").write_text("print('second')\n")
    dirty = pack(folder, tmp_path / "2", tracked=True)
    assert dirty.git["dirty"]
    assert members(dirty) == [packing.PATCH, "train.py"]
    with pytest.raises(CannotPack, match="no git repository"):
        pack(tree(tmp_path / "plain", a_py=""), tmp_path / "3", tracked=True)


def archive(path, *items):
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, link in items:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            if kind == tarfile.REGTYPE:
                member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
    return path


@pytest.mark.parametrize(
    "item",
    [
        ("/tmp/absolute", tarfile.REGTYPE, ""),
        ("../up", tarfile.REGTYPE, ""),
        ("a/../../up", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "/etc/passwd"),
        ("link", tarfile.SYMTYPE, "../../up"),
        ("hard", tarfile.LNKTYPE, "/etc/passwd"),
        ("device", tarfile.CHRTYPE, ""),
        ("pipe", tarfile.FIFOTYPE, ""),
    ],
)
def test_an_archive_that_reaches_out_of_its_folder_is_not_unpacked(tmp_path, item):
    with pytest.raises(BadArchive):
        unpack(archive(tmp_path / "a", item), tmp_path / "in", 2**20)
    assert not (tmp_path / "up").exists()


def test_an_archive_that_unpacks_to_too_much_or_is_none_is_refused(tmp_path):
    items = [(str(number), tarfile.REGTYPE, "") for number in range(20)]
    with pytest.raises(BadArchive, match="more than"):
        unpack(archive(tmp_path / "a", *items), tmp_path / "in", 10)
    assert not (tmp_path / "in").exists()
    (tmp_path / "b").write_bytes(b"no archive")
    with pytest.raises(BadArchive, match="cannot be unpacked"):
        unpack(tmp_path / "b", tmp_path / "in", 10)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["t", "--lr", "1", "--x"], ["t", "--lr", "2", "--x"]),
        (["t", "--lr=1"], ["t", "--lr=2"]),
        (["t", "lr=1", "--lrate=3"], ["t", "lr=2", "--lrate=3"]),
        (["t"], ["t", "--lr", "2"]),
    ],
)
def test_a_setting_is_changed_where_the_command_holds_it(argv, said):
    assert with_settings(argv, {"lr": "2"}) == said


@pytest.fixture
def at_site(bench, settings, tmp_path, monkeypatch):  # noqa: F811
    settings.COPY_DIR, settings.HOME = tmp_path / "copies", tmp_path / "home"
    token = ApiToken.issue(TokenKind.USER, user=a_member(bench.experiment.project))[1]
    monkeypatch.setenv("SCALEWEB_URL", settings.PUBLIC_URL)
    monkeypatch.setenv("SCALEWEB_TOKEN", token)
    return bench


def lines(job):
    return [text for _, _, text in logs.read(job.run.source).lines]


@pytest.mark.processes
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_folder_is_sent_once_runs_on_its_node_is_cloned_and_goes_when_no_job_has_it(
    at_site, tmp_path, capsys, settings
):
    folder = tree(tmp_path / "code", sub__train_py="import sys; print('sent', sys.argv[1:])\n", junk_log="x")
    (folder / ".scalewebignore").write_text("*.log\n")
    words = ["submit", "--send", str(folder), "--cwd", "sub", "--", sys.executable, "train.py", "--lr", "1"]
    assert main(words) == 0, capsys.readouterr().err
    job = at_site.until_over(Job.objects.get())
    until(lambda: lines(job) == ["sent ['--lr', '1']"])
    copy = WorkingCopy.objects.get()
    assert files.path(copy.sha256).exists()
    # Again: nothing is sent twice, and nothing is fetched twice.
    assert main(words) == 0
    assert WorkingCopy.objects.count() == 1
    run = job.run.code
    assert main(["clone", run, "--set", "lr=2", "--env", "A=1"]) == 0, capsys.readouterr().err
    made = at_site.until_over(Job.objects.latest("id"))
    assert (made.working_copy, made.run.config, made.env) == (copy, {"lr": 2}, {"A": "1"})
    until(lambda: lines(made) == ["sent ['--lr', '2']"])
    assert all(getattr(made, field) == getattr(job, field) for field in LIKE)
    # Another project has to send them itself, and what no job has goes.
    with pytest.raises(JobRefused, match="was not sent to this project"):
        submit.submit(experiment=at_site.experiment, argv=["true"], working_copy="0" * 64)
    WorkingCopy.objects.update(created_at=timezone.now() - timedelta(days=2))
    retention.sweep()
    assert files.path(copy.sha256).exists()
    for each in Job.objects.select_related("run"):
        each.run.delete()
    os.utime(files.path(copy.sha256), (1, 1))
    retention.sweep()
    assert not files.path(copy.sha256).exists()
    # More than a project may have is refused in words.
    settings.COPIES_BYTES = 10
    capsys.readouterr()
    assert main(words) == 1
    assert "the working copies of vision have 0 MiB" in capsys.readouterr().err


@pytest.mark.processes
@pytest.mark.django_db(databases="__all__", transaction=True)
def test_a_revision_is_fetched_by_the_node_and_a_later_attempt_takes_the_same_commit(at_site, tmp_path):
    folder = repository(tmp_path / "code")
    asked = {"url": f"file://{folder}", "revision": "main"}
    job = at_site.until_over(at_site.job([sys.executable, "train.py"], git=asked))
    until(lambda: lines(job) == ["first"])
    (folder / "train.py").write_text("print('second')\n")
    git(folder, "commit", "-qam", "two")
    again = at_site.until_over(clone(job))
    until(lambda: lines(again) == ["first"])
    missing = at_site.until_over(at_site.job(["true"], git={**asked, "revision": "nosuch"}))
    assert missing.state == "failed"
    said = "the repository has no commit, branch or tag 'nosuch'"
    assert at_site.attempt(missing).first_error_line.startswith(said)


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("url", ["ext::sh -c evil", "--upload-pack=evil", "/etc", "", "https://a b"])
def test_an_address_that_is_no_repositorys_is_refused(experiment, url):  # noqa: F811
    with pytest.raises(JobRefused, match="expected https"):
        submit.submit(experiment=experiment, argv=["true"], git={"url": url, "revision": "main"})
