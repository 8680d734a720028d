"""Every setting that is read is documented, with its default, and nothing else is."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
READ = re.compile(
    r"""(?<![\w])(?:env\.)?(text|flag|number|choice|words|rates|networks|mail)\(\s*"([A-Z_]+)"(?:,\s*([^,)]+))?"""
)
SOURCES = [TOP / "scaleweb" / "env.py", TOP / "scaleweb" / "settings.py"]


def settings_read():
    return {name: default for source in SOURCES for _, name, default in READ.findall(source.read_text())}


def rows():
    page = (TOP / "docs" / "settings.md").read_text()
    return {match[1]: match[2].strip() for match in re.finditer(r"^\| `([A-Z_]+)` \| ([^|]*)", page, re.M)}


def test_every_setting_is_documented_and_none_besides():
    assert set(rows()) == set(settings_read())


@pytest.mark.parametrize(
    "name", [name for name, default in settings_read().items() if re.fullmatch(r'[\d.]+|"[^"]+"', default)]
)
def test_the_documented_default_is_the_real_one(name):
    assert settings_read()[name].strip('"') in rows()[name].replace("`", "")


def test_no_other_module_of_the_site_reads_the_environment():
    """Training processes and the stack that starts them hand variables on; the site itself asks `env` alone."""
    allowed = {"env.py", "asgi.py", "celery.py"}
    guilty = [
        path.relative_to(TOP).as_posix()
        for path in (TOP / "scaleweb").rglob("*.py")
        if path.name not in allowed
        and path.parent.name != "stack"
        and re.search(r"os\.(environ|getenv)", path.read_text())
    ]
    assert not guilty
