"""Calls a service without a sidecar; Python 3 and its standard library.

python3 call.py KEYRING CALLEE METHOD URL [BODY_FILE]
python3 call.py keyring.json npu-worker POST http://172.16.168.22:15006/api/process job.json
"""

import base64
import hashlib
import hmac
import http.client
import json
import secrets
import sys
import time
from urllib.parse import urlsplit


def signed_headers(keyring, callee, method, url, body):
    """The headers of one call; each call needs new ones, since its nonce is accepted once."""
    parts = urlsplit(url)
    outbound = keyring["outbound"][callee]
    key = base64.b64decode(outbound["keys"][parts.hostname])

    headers = {"Host": callee, "X-Service-ID": keyring["service"]}
    covered = [
        ("@method", method),
        ("@authority", callee),
        ("@path", parts.path or "/"),
        ("@query", "?" + parts.query),
        ("x-service-id", keyring["service"]),
    ]
    if body:
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers["Content-Type"] = "application/json"
        headers["Content-Digest"] = f"sha-256=:{digest}:"
        covered.append(("content-digest", headers["Content-Digest"]))
        covered.append(("content-type", headers["Content-Type"]))

    names = " ".join(f'"{name}"' for name, _ in covered)
    params = (
        f"({names});created={int(time.time())};keyid=\"{outbound['kid']}\""
        f';nonce="{secrets.token_urlsafe(16)}";tag="countersign"'
    )
    lines = [f'"{name}": {value}' for name, value in covered]
    base = "\n".join([*lines, f'"@signature-params": {params}'])
    mac = base64.b64encode(hmac.digest(key, base.encode("latin-1"), "sha256")).decode()
    return {**headers, "Signature-Input": f"svc={params}", "Signature": f"svc=:{mac}:"}


def main(keyring_file, callee, method, url, body_file=None):
    with open(keyring_file, encoding="utf-8") as file:
        keyring = json.load(file)
    body = b""
    if body_file:
        with open(body_file, "rb") as file:
            body = file.read()
    parts = urlsplit(url)
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=30)
    connection.request(method, target, body or None, signed_headers(keyring, callee, method, url, body))
    response = connection.getresponse()
    print(response.status, response.read().decode())
    return 0 if response.status < 400 else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
