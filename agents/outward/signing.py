"""Signs and verifies webhooks as Standard Webhooks 1.0 has it: HMAC-SHA256 over id, time stamp and body.

Headers: `webhook-id` stays the same when a message is sent again, `webhook-timestamp` is in whole UTC seconds, `webhook-signature` holds one
or more signatures, each `v1,` and base64, with a space between. A secret is 24 to 64 random bytes, written `whsec_` and base64.

Source: Standard Webhooks, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

PREFIX = "whsec_"
LEAST, MOST = 24, 64  # bytes of a secret
TOLERANCE = 300.0  # seconds that a message may be old, or a clock ahead


class SecretError(ValueError):
    """A secret cannot be used; the text says what one looks like. The secret itself is not in it."""


class SignatureError(ValueError):
    """A message is not from who has the secret, or not of now; the text says which."""


def new_secret() -> str:
    """A fresh secret of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(secret: str) -> bytes:
    """The bytes of a secret. Raises `SecretError`.

    >>> len(key_of(new_secret()))
    32
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not LEAST <= len(key) <= MOST:
        raise SecretError(f"a secret is {PREFIX} and {LEAST} to {MOST} bytes in base64; make one with: python -m agents.webhook secret")
    return key


def sign(key: bytes, identity: str, at: float, body: bytes) -> dict[str, str]:
    """The three headers of a message with this id and body, sent `at` (UTC seconds).

    >>> sorted(sign(b"k" * 32, "msg_1", 1614265330.0, b"{}"))
    ['webhook-id', 'webhook-signature', 'webhook-timestamp']
    """
    stamp = str(int(at))
    return {"webhook-id": identity, "webhook-timestamp": stamp, "webhook-signature": f"v1,{_digest(key, identity, stamp, body)}"}


def verify(key: bytes, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raise `SignatureError` unless one of the signatures is right and the message is of now (UTC seconds), give or take five minutes.

    >>> key = b"k" * 32
    >>> verify(key, sign(key, "msg_1", 1000.0, b"{}"), b"{}", now=1010.0)
    >>> verify(key, sign(key, "msg_1", 1000.0, b"{}"), b'{"forged": 1}', now=1010.0)
    Traceback (most recent call last):
    agents.outward.signing.SignatureError: no signature fits: another secret, or a body that was changed on its way
    """
    lower = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in ("webhook-id", "webhook-timestamp", "webhook-signature") if name not in lower]
    if missing:
        raise SignatureError(f"no header {', '.join(missing)}: this is no signed webhook")
    identity, stamp, given = lower["webhook-id"], lower["webhook-timestamp"], lower["webhook-signature"]
    if not stamp.isdigit() or abs(now - int(stamp)) > TOLERANCE:
        why = "somebody has sent it again, or a clock is off"
        raise SignatureError(f"webhook-timestamp {stamp!r} is not within {TOLERANCE:.0f} s of now: {why}")
    wanted = _digest(key, identity, stamp, body)
    if not any(hmac.compare_digest(one.removeprefix("v1,").encode(), wanted.encode()) for one in given.split() if one.startswith("v1,")):
        raise SignatureError("no signature fits: another secret, or a body that was changed on its way")


def _digest(key: bytes, identity: str, stamp: str, body: bytes) -> str:
    return base64.b64encode(hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
