"""Takes docs/images/pages anew: every page of a site with real trainings, wide and on a phone, light and dark.

    python -m scripts.pictures [--only run-media nodes] [--into FOLDER] [--language zh-CN] [--keep]

It needs Chromium, and some minutes. The site is in a temporary folder and on a free port, and is gone afterwards.
"""

import argparse
import tempfile
from pathlib import Path

from .pages import FORMAT, take
from .site import TOP, a_site
from .story import tell

FOLDER = TOP / "docs" / "images" / "pages"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m scripts.pictures", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], help="names of pictures; all when left out")
    parser.add_argument("--into", type=Path, default=FOLDER, help="the folder they go to")
    parser.add_argument("--language", default="en-US", help="of the browser; zh-CN needs a font that has it")
    parser.add_argument(
        "--keep", action="store_true", help="leave the site up, and take them again on each Enter"
    )
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="sw-pictures-", ignore_cleanup_errors=True) as folder,
        a_site(Path(folder)) as site,
    ):
        print(f"a site at {site.url}", flush=True)
        story = tell(site)
        take(site, story, options.into, options.only, options.language)
        while options.keep and input("Enter takes them again, anything else ends: ") == "":
            take(site, story, options.into, options.only, options.language)
    size = sum(each.stat().st_size for each in options.into.glob(f"*.{FORMAT}"))
    print(f"{size / 2**20:.1f} MiB of pictures in {options.into}")


if __name__ == "__main__":
    main()
