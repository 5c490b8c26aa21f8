"""A real S3 API on 127.0.0.1 (moto's), in a process of its own: `with s3(put_delay=0.05) as (settings, client): ...`"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from imgcrawl.pipelines.s3 import client_of
from tests.support.crawling import ROOT

BUCKET = "images"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION_NAME": "us-east-1"}


@contextmanager
def s3(put_delay: float = 0.0, denied: str = "") -> Iterator[tuple[dict[str, str], Any]]:
    """The settings that a crawl needs for a store there, and a client. A PUT takes *put_delay* seconds more, and
    is denied while there is a file *denied*, and an image whose client asks first whether it may be sent, an answer
    more: Scrapy's feeds do."""
    command = [sys.executable, "-m", "tests.support.s3", str(put_delay), denied]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout
        endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
        client = client_of({**KEYS, "AWS_ENDPOINT_URL": endpoint}.get, timeout=60)
        client.create_bucket(Bucket=BUCKET)
        yield {**KEYS, "AWS_ENDPOINT_URL": endpoint, "IMAGES_STORE": f"s3://{BUCKET}/"}, client
        client.close()
    finally:
        process.kill()
        process.communicate()


def main(put_delay: float, denied: str) -> None:
    from moto.server import create_backend_app  # noqa: PLC0415 -- only the process of its own needs it
    from werkzeug.serving import make_server  # noqa: PLC0415 -- the same

    app = create_backend_app("s3")

    def slow(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["REQUEST_METHOD"] == "PUT":
            time.sleep(put_delay)
            asks = "HTTP_EXPECT" in environ and environ["PATH_INFO"].endswith(".jpg")
            if asks or (denied and Path(denied).exists()):
                environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
                start_response("403 Forbidden", [("Content-Type", "application/xml")])
                return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
        return app(environ, start_response)

    server = make_server("127.0.0.1", 0, slow, threaded=True)
    sys.stdout.write(f"{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(float(sys.argv[1]), sys.argv[2])
