"""Pictures of pages of a running development server, to be looked at: shot.py URL FOLDER PATH…"""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright


def main(base: str, folder: str, paths: list[str]) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, width, height, scheme in [
            ("wide-light", 1440, 900, "light"),
            ("wide-dark", 1440, 900, "dark"),
            ("phone-light", 390, 844, "light"),
            ("phone-dark", 390, 844, "dark"),
        ]:
            page = browser.new_page(
                viewport={"width": width, "height": height},
                color_scheme=scheme,
                is_mobile=width < 600,
                has_touch=width < 600,
            )
            page.on("console", lambda m: print(m.type, m.text) if m.type in ("error", "warning") else None)
            page.on("pageerror", lambda e: print("error", e))
            for path in paths:
                page.goto(base + path)
                page.wait_for_load_state("networkidle")
                page.wait_for_timeout(900)
                over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                if over > 0:
                    print(f"{path} at {width}: {over} px too wide")
                slug = path.strip("/").replace("/", "-").replace("?", "-").replace("=", "-") or "home"
                page.screenshot(path=f"{folder}/{slug}-{name}.png", full_page=False)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
