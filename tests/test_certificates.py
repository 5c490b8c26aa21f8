"""Certificates of this machine that are read when they are needed."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import Server

# Asks for the address, with the context that aiohttp has made while it was loaded.
ASK = """
import asyncio, ssl, sys
from imgcrawl.certificates import LateContext, read_late
before = ssl.SSLContext.set_default_verify_paths
with read_late():
    import aiohttp
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
assert ssl.SSLContext.set_default_verify_paths is before
assert type(server) is ssl.SSLContext  # which shows a certificate, and asks for none
context, unverified = aiohttp.connector._SSL_CONTEXT_VERIFIED, aiohttp.connector._SSL_CONTEXT_UNVERIFIED
assert type(context) is type(unverified) is LateContext
assert context.cert_store_stats()["x509"] == 0
assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)

async def ask(**options):
    async with aiohttp.ClientSession() as session, session.get(sys.argv[1], **options) as answer:
        return answer.status

try:
    print(asyncio.run(ask()))
except aiohttp.ClientConnectorCertificateError as error:
    print(error.certificate_error.verify_message)
assert asyncio.run(ask(ssl=False)) == 200
assert type(context) is type(unverified) is ssl.SSLContext
with read_late():
    first = ssl.create_default_context()
first.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
assert first.cert_store_stats() == ssl.create_default_context().cert_store_stats()
"""


@pytest.mark.parametrize("known", [True, False])
def test_what_is_read_late_is_what_is_read_at_once(self_signed: ssl.SSLContext, certificate: Path, known: bool) -> None:
    with Server(context=self_signed) as server:
        server.add("/a", b"a")
        address = server.url("/a").replace("127.0.0.1", "localhost")
        assert address.startswith("https:")
        ran = subprocess.run(
            [sys.executable, "-c", ASK, address], capture_output=True, text=True, check=False, timeout=60,
            env=os.environ | ({"SSL_CERT_FILE": str(certificate)} if known else {}),
        )  # fmt: skip
    assert (ran.stdout.strip(), ran.returncode) == ("200" if known else "self-signed certificate", 0), ran.stderr
