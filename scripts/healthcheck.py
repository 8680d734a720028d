"""Exits with 0 when the web process on this host is well: the image's HEALTHCHECK.

    python scripts/healthcheck.py [PORT]

It asks under the site's public name (SCALEWEB_URL), because the site answers to no other. Standard library only.
"""

import http.client
import os
import sys
from urllib.parse import urlsplit


def main(port: int) -> int:
    name = urlsplit(os.environ.get("SCALEWEB_URL") or "http://127.0.0.1").netloc
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/healthz", headers={"Host": name})
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        print(f"nothing answers on port {port}: {error}")
        return 1
    print(said[:500])
    return 0 if answer.status == 200 else 1


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8000))
