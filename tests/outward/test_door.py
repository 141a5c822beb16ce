"""The door and its twin keep the same contract; the door keeps it with a receiver that fails, is slow, redirects or is not there."""

import socket

import pytest

from agents.outward.door import AddressError, HttpPost, MemoryPost, Reply, Unreachable, checked, shown
from tests.outward.receiver import receiver


@pytest.fixture(params=["memory", "http"])
def posting(request):
    """Makes (post, url, got) for a receiver that answers with these statuses."""
    opened = []

    def make(*statuses, headers=None):
        if request.param == "memory":
            wait = (headers or {}).get("retry-after")
            post = MemoryPost(lambda number: Reply(statuses[number - 1], float(wait) if wait else None))
            return post, "http://127.0.0.1/in", lambda: [(one.headers, one.body) for one in post.sent]
        place = receiver(lambda number: (statuses[number - 1], headers or {}))
        url, got = place.__enter__()
        opened.append(place)
        post = HttpPost()
        return post, url, lambda: [(headers, body) for _, headers, body in got]

    yield make
    for place in opened:
        place.__exit__(None, None, None)


def test_what_is_posted_arrives_as_it_is(posting):
    post, url, got = posting(200)
    assert post.post(url, b'{"a": 1}', {"content-type": "application/json", "webhook-id": "m"}).taken
    [(headers, body)] = got()
    assert body == b'{"a": 1}' and headers["webhook-id"] == "m" and headers["content-type"] == "application/json"
    post.close()


def test_every_status_comes_back_and_only_2xx_is_taken(posting):
    statuses = (204, 301, 307, 404, 410, 429, 500)
    post, url, got = posting(*statuses)
    answers = [post.post(url, b"", {}) for _ in statuses]
    assert [one.status for one in answers] == list(statuses) and [one.taken for one in answers] == [True] + 6 * [False]
    assert len(got()) == 7
    post.close()


def test_how_long_to_wait_comes_back(posting):
    post, url, _ = posting(429, headers={"retry-after": "17"})
    assert post.post(url, b"", {}) == Reply(429, 17.0)
    post.close()


def test_a_redirect_is_not_followed_since_what_is_signed_is_for_the_address_that_was_named():
    with receiver() as (there, elsewhere), receiver(lambda _: (307, {"location": there})) as (url, _):
        post = HttpPost()
        assert post.post(url, b"secret", {}).status == 307 and elsewhere == []
        post.close()


def test_a_receiver_that_does_not_answer_is_given_up_after_a_while():
    with receiver(lambda _: None) as (url, _):
        post = HttpPost(seconds=0.1)
        with pytest.raises(Unreachable, match="Timeout"):
            post.post(url, b"", {})
        post.close()


def test_nobody_there_is_unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    post = HttpPost()
    with pytest.raises(Unreachable, match="ConnectError"):
        post.post(f"http://127.0.0.1:{port}/", b"", {})
    post.close()
    with pytest.raises(Unreachable, match="nobody"):
        MemoryPost(lambda _: Unreachable("nobody")).post("http://a", b"", {})


@pytest.mark.parametrize("url", ["", "example.org", "ftp://example.org", "http://", "http://a:x/", "javascript:1", "http://[::1"])
def test_what_is_no_address_is_refused_with_an_example(url):
    with pytest.raises(AddressError, match=r"such as https://example\.org/hook"):
        checked(url, "--events-url")


def test_what_is_shown_of_an_address_holds_no_secret():
    assert shown("https://user:pw@[::1]:1/T0KEN?key=1") == "https://[::1]:1"
