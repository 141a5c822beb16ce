"""Who may see the page and who may answer: a token in the link, a session in a cookie, and a secret in every form.

The token is made anew at each start and lives in memory only. Whoever brings it gets a session; who brings the token for watching gets
one that can change nothing. A session's cookie is out of reach of scripts and is not sent along from other sites; a form must carry the
session's own secret besides, and come from this page.
"""

import secrets
import string
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Literal
from urllib.parse import urlsplit

SESSIONS = 1000  # people and watchers at the same time; the one that came first makes room
NAME_LENGTH = 40
LOOPBACK = ("127.0.0.1", "localhost", "::1")

Role = Literal["answer", "watch"]


class AccessError(Exception):
    """Somebody may not do this; the text says what is missing. `status` is the HTTP status."""

    def __init__(self, text: str, status: int = 403) -> None:
        super().__init__(text)
        self.status = status


@dataclass
class Session:
    """One browser of one person. `notice` is shown once, on the next page."""

    key: str
    name: str
    role: Role
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    notice: str = ""

    @property
    def may_answer(self) -> bool:
        """Whether it may change anything."""
        return self.role == "answer"


class Access:
    """Tokens and sessions of one page.

    Parameters
    ----------
    cookie : name of the cookie. Browsers keep one jar for all ports of a host, so two pages on one machine need two names.
    only_loopback : refuse requests for any other host name, which a foreign site may have pointed at this machine.
    """

    def __init__(self, cookie: str, *, only_loopback: bool = True) -> None:
        self.cookie, self.only_loopback = cookie, only_loopback
        self.token, self.watch_token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def role_of(self, token: str) -> Role:
        """What a token is good for. Raises `AccessError` when it is none of ours."""
        if compare_digest(token.encode(), self.token.encode()):
            return "answer"
        if compare_digest(token.encode(), self.watch_token.encode()):
            return "watch"
        raise AccessError("This link is not valid, or it is from an earlier start of the cluster. Each start prints a new one.", 401)

    def enter(self, token: str, name: str) -> Session:
        """A session for whoever brings a token. Raises `AccessError` when the token or the name will not do."""
        role = self.role_of(token)
        name = tidy(name) if role == "answer" else tidy(name) or "watching"
        if not name:
            raise AccessError("Please give a name: each answer is kept with the name of who gave it.", 400)
        session = Session(secrets.token_urlsafe(24), name, role)
        with self._lock:
            self._sessions[session.key] = session
            if len(self._sessions) > SESSIONS:
                self._sessions.pop(next(iter(self._sessions)))
        return session

    def leave(self, session: Session) -> None:
        """The session ends."""
        with self._lock:
            self._sessions.pop(session.key, None)

    def session(self, cookies: Mapping[str, str]) -> Session:
        """Whose cookie this is. Raises `AccessError` when nobody's."""
        with self._lock:
            found = self._sessions.get(cookies.get(self.cookie, ""))
        if found is None:
            raise AccessError("Open the link that the cluster printed when it started: it carries the key to this page.", 401)
        return found

    def check_host(self, headers: Mapping[str, str]) -> None:
        """Raise `AccessError` when the page is asked for under a name that is not this machine's own."""
        host = urlsplit(f"//{headers.get('host', '')}").hostname
        if self.only_loopback and host not in LOOPBACK:
            raise AccessError(f"This page answers to 127.0.0.1 and localhost only, not to {host}. To reach it from afar use an SSH tunnel.", 421)

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Raise `AccessError` when a form was sent from another site."""
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != headers.get("host"):
            raise AccessError("This form was sent from another site, so nothing was done.")

    def check_form(self, session: Session, headers: Mapping[str, str], form: Mapping[str, str]) -> None:
        """Raise `AccessError` when a form may not be acted on: no right to answer, or not sent from this person's own page."""
        self.check_origin(headers)
        if not compare_digest(form.get("secret", "").encode(), session.secret.encode()):
            raise AccessError("This form does not belong to your session, so nothing was done. Reload the page and try again.")
        if not session.may_answer:
            raise AccessError("This link is for watching only. Ask whoever started the cluster for the link to answer with.")


def tidy(name: str) -> str:
    r"""A person's name as it is kept: printable, single spaces, at most 40 characters.

    >>> tidy("  Ana\n  María ")
    'Ana María'
    """
    printable = "".join(letter if letter.isprintable() and letter not in string.whitespace else " " for letter in name)
    return " ".join(printable.split())[:NAME_LENGTH].strip()
