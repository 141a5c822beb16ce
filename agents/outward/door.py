"""The door to other systems' HTTP addresses: one POST and its answer. HTTPX is imported here and nowhere else in the agents' room."""

from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

import httpx
import msgspec

SECONDS = 10.0


class Unreachable(Exception):
    """No answer came: nobody listens, the name is not known, the certificate is not trusted, or it took too long."""


class AddressError(ValueError):
    """What was given is no address that can be posted to; the text says what is."""


class Reply(msgspec.Struct, frozen=True):
    """What was answered. `retry_after` in seconds; None where the receiver does not say."""

    status: int
    retry_after: float | None = None

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return 200 <= self.status < 300


class Post(Protocol):
    """Posts to an address. Redirects are not followed: what is signed or secret is for the address that was named."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Post and wait for the answer's status. Raises `Unreachable`."""

    def close(self) -> None:
        """Let go of connections."""


class HttpPost:
    """Over the network. `seconds` is the longest wait for a connection, and for each part of an answer."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._client = httpx.Client(timeout=seconds, follow_redirects=False, headers={"user-agent": "scanflow-agents"})

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """See `Post.post`; the body of the answer is not read."""
        try:
            with self._client.stream("POST", url, content=body, headers=dict(headers)) as answer:
                wait = answer.headers.get("retry-after", "")
                return Reply(answer.status_code, float(wait) if wait.isdigit() else None)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


class Sent(msgspec.Struct, frozen=True):
    """One POST as the in-memory receiver got it."""

    url: str
    body: bytes
    headers: dict[str, str]


class MemoryPost:
    """The in-memory twin: keeps what it gets in `sent`, and answers what `answer` says for the n-th POST, counted from 1; 204 by default."""

    def __init__(self, answer: Callable[[int], Reply | Unreachable] = lambda _number: Reply(204)) -> None:
        self._answer = answer
        self.sent: list[Sent] = []
        self.closed = False

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """See `Post.post`."""
        self.sent.append(Sent(url, body, dict(headers)))
        answer = self._answer(len(self.sent))
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


def checked(url: str, what: str) -> str:
    """The address, if it is one to post to; `what` names it in the error.

    >>> checked("example.org/hook", "--events-url")
    Traceback (most recent call last):
    agents.outward.door.AddressError: --events-url: 'example.org/hook' is no address; write it whole, such as https://example.org/hook
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise AddressError(f"{what}: {url!r} is no address; write it whole, such as https://example.org/hook")
    return url


def shown(url: str) -> str:
    """The address without what may be secret in it: user, password, path and query.

    >>> shown("https://ana:pw@example.org:8443/hook/T0KEN?key=1")
    'https://example.org:8443'
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}" + (f":{parts.port}" if parts.port else "")
