"""Who gets in, who may answer, and what the browser is told to keep others from."""

import re

import pytest

from agents.web.access import SESSIONS, Access, AccessError, tidy


def test_without_the_link_nothing_is_shown(office, page):
    office.ask_labels()
    for address in ("/", "/questions", "/question/digits-1/audit", "/incident/digits-1", "/incident/digits-1/story.json", "/live", "/status.json"):
        answer = page.get(address)
        assert answer.status_code == 401 and "Open the link that the cluster printed" in answer.text
        assert "digits-1" not in answer.text


def test_a_wrong_token_is_refused_and_says_where_the_right_one_is(page):
    for answer in (page.get("/enter?token=guess"), page.post("/enter", data={"token": "guess", "name": "eve"})):
        assert answer.status_code == 401 and "Each start prints a new one" in answer.text and "set-cookie" not in answer.headers


def test_the_link_asks_for_a_name_and_then_opens_the_overview(page):
    client = page.client()
    asked = client.get(page.link)
    assert "Your name" in asked.text and "set-cookie" not in asked.headers
    entered = client.post("/enter", data={"token": page.access.token, "name": "  Ana\n Maria "})
    assert entered.url.path == "/" and "Ana Maria" in entered.text
    assert client.post("/enter", data={"token": page.access.token, "name": " "}).status_code == 400


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(page):
    entered = page.post("/enter", data={"token": page.access.token, "name": "ana"})
    cookie = entered.headers["set-cookie"].lower()
    assert f"scanflow-{page.port}=" in cookie and "httponly" in cookie and "samesite=strict" in cookie
    assert page.access.token not in entered.headers["set-cookie"]


@pytest.mark.parametrize(
    ("headers", "fields", "says"),
    [
        ({}, {"secret": ""}, "does not belong to your session"),
        ({}, {"secret": "guess"}, "does not belong to your session"),
        ({"origin": "http://evil.example"}, {}, "sent from another site"),
        ({"origin": "null"}, {}, "sent from another site"),
    ],
)
@pytest.mark.parametrize("address", ["/press", "/decide", "/undo", "/leave"])
def test_no_form_is_acted_on_that_is_not_the_sessions_own(office, ana, address, headers, fields, says):
    office.ask_labels()
    answer = ana.post(address, headers, question="digits-1/audit", key="7", item="12", option="approve", **fields)
    assert answer.status_code == 403 and says in answer.text
    assert len([one for one in office.messages if one.source == "web"]) == 0


def test_anothers_secret_does_not_do(office, person):
    office.ask_choice()
    ana, bob = person("ana"), person("bob")
    assert ana.post("/decide", question="digits-1/approve", option="approve", secret=bob.secret()).status_code == 403
    assert [view.question for view in office.board.questions()] == ["digits-1/approve"]


def test_a_form_from_this_page_is_taken(office, ana, page):
    office.ask_choice()
    taken = ana.post("/decide", {"origin": page.address}, question="digits-1/approve", option="approve")
    assert taken.status_code == 200 and office.closed == {"digits-1/approve": "answered"}


def test_who_only_watches_sees_everything_and_changes_nothing(office, person, page):
    office.ask_labels()
    office.ask_choice()
    watcher = person(token=page.access.watch_token)
    assert "watching only" in watcher.get("/").text
    for address in ("/questions", "/question/digits-1/audit", "/question/digits-1/approve", "/incident/digits-1"):
        shown = watcher.get(address)
        assert shown.status_code == 200
        assert not re.search(r'name="(key|option)"|action="/undo"', shown.text) and page.access.token not in shown.text
    for address in ("/press", "/decide", "/undo"):
        refused = watcher.post(address, question="digits-1/audit", key="7", option="approve")
        assert refused.status_code == 403 and "for watching only" in refused.text
    assert office.taken == [] and office.closed == {}


def test_a_page_asks_nothing_of_any_other_host(office, ana):
    office.ask_labels()
    office.ask_choice()
    for address in ("/", "/questions", "/question/digits-1/audit", "/question/digits-1/approve", "/incident/digits-1", "/incidents", "/nowhere"):
        shown = ana.get(address)
        assert shown.headers["content-security-policy"].startswith("default-src 'self';")
        assert shown.headers["x-content-type-options"] == "nosniff" and shown.headers["cache-control"] == "no-store"
        own = str(ana.client.base_url).rstrip("/")
        assert re.findall(r"https?://[^\s\"'<]+", shown.text.replace(own, "")) == []
        assert not re.search(r"<script(?! src=\"/static/)|<style|\sstyle=|\son[a-z]+=", shown.text)
        for asset in re.findall(r'(?:src|href)="(/static/[^"]+)"', shown.text):
            assert ana.get(asset).status_code == 200


def test_a_name_that_a_foreign_site_points_here_is_refused(page):
    answer = page.get(page.link, headers={"host": f"evil.example:{page.port}"})
    assert answer.status_code == 421 and "localhost" in answer.text
    assert page.get(page.link, headers={"host": "localhost:9000"}).status_code == 200  # as an SSH tunnel has it


def test_what_people_write_stays_text(office, person):
    office.ask_choice()
    eve = person("<script>alert(1)</script>")
    shown = eve.post("/decide", question="digits-1/approve", option="decline", reason="<img src=x onerror=alert(2)>")
    assert "<script>alert" not in shown.text and "<img src=x" not in shown.text and "&lt;img src=x" in shown.text
    assert "<img src=x" not in eve.get("/incident/digits-1/report.html").text


def test_a_form_that_is_too_large_is_refused(ana):
    assert ana.post("/decide", question="x", reason="a" * 70_000).status_code == 413


def test_leaving_ends_the_session(ana):
    assert "You have left" in ana.post("/leave").text
    assert ana.get("/").status_code == 401


def test_a_part_that_is_asked_for_without_a_session_loads_the_whole_page_anew(office, page):
    office.ask_labels()
    answer = page.get("/seat/digits-1/audit", headers={"hx-request": "true"})
    assert answer.status_code == 401 and answer.headers["hx-refresh"] == "true"


def test_sessions_do_not_grow_without_end():
    access = Access("c")
    first = access.enter(access.token, "ana")
    for number in range(SESSIONS):
        last = access.enter(access.token, f"person {number}")
    assert access.session({"c": last.key}) is last
    with pytest.raises(AccessError):
        access.session({"c": first.key})


def test_two_pages_do_not_open_for_each_others_tokens():
    with pytest.raises(AccessError):
        Access("c").role_of(Access("c").token)


def test_names_are_tidy():
    assert tidy("a" * 100) == "a" * 40
    assert tidy("a\x00\x1b[31mb\u202e") == "a [31mb"
