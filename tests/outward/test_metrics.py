import asyncio
import json
import re
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from agents.hosts.host import AgentError
from agents.hosts.timed import Timed
from agents.messages import EvidenceUpdated, LogBegun, RecordsLost, WindowAnalysed
from agents.web.access import Access
from agents.web.metrics import TOKEN_FILE, metrics_token, scraped
from agents.web.serve import WebPage
from tests.console.office import Office

ROOT = Path(__file__).resolve().parents[2]


def test_everything_is_told_with_the_deployments_name(everything):
    told = everything.value
    assert (told("records_seen_total"), told("records_lost_total"), told("drift_log_evidence")) == (50, 3, 2.5)
    assert told("drift_log_evidence_alarm_line") == pytest.approx(13.8155, abs=1e-4)
    assert [told(f"accuracy_{name}_ratio") for name in ("clean", "estimated", "estimate_error", "audited", "audited_low", "audited_high")] == [0.9, 0.6, 0.1, 0.5, 0.3, 0.8]
    assert told("live_pipeline_info", pipeline="p", base="p", version="1") == 1 and told("live_pipeline_since_timestamp_seconds") == 7.0
    assert (told("incidents_opened_total", kind="drift"), told("incidents_open", kind="drift"), told("incidents_closed_total", kind="drift", outcome="undone")) == (2, 1, 1)
    assert (told("questions_open", purpose="teaching"), told("questions_open", purpose="audit"), told("question_oldest_age_seconds")) == (1, 0, 70.0)
    assert (told("questions_closed_total", outcome="answered"), told("labels_total", purpose="audit")) == (1, 1)
    assert (told("agent_failures_total", agent="planner"), told("requests_unmet_total", request="PrepareRemedy", reason="expired")) == (1, 1)
    assert told("messages_total", type="AskLabels") == 2
    assert [told(f"inference_{name}") for name in ("up", "requests_total", "rejected_total", "seconds_total")] == [1, 40, 2, 1.5]
    assert told("drift_check_seconds_count") == 1 and told("drift_check_seconds_bucket", le="0.025") == 1 and told("drift_check_seconds_bucket", le="0.01") == 0
    assert everything.samples()["scanflow_agent_handling_seconds_total", ("agent", "checker")] == 0.02


def test_names_and_units_are_those_that_prometheus_wants(everything):
    families = list(text_string_to_metric_families(everything.text()[0].decode()))
    assert all(re.fullmatch(r"scanflow_[a-z_]+", one.name) and one.documentation.endswith(".") for one in families) and len(families) > 25
    assert not [one.name for one in families if re.search(r"_(ms|milliseconds|minutes|percent)\b", one.name)]
    assert all(sample.name.endswith("_total") for one in families if one.type == "counter" for sample in one.samples)


def test_records_go_on_counting_when_a_log_begins_anew(metrics):
    metrics.say(EvidenceUpdated, cursor=50, log_evidence=0.0).say(LogBegun, log="two").say(EvidenceUpdated, cursor=20, log_evidence=0.0)
    assert metrics.value("records_seen_total") == 70


def test_deployments_are_told_apart_and_a_message_without_one_is_the_first_ones(metrics):
    metrics.say(RecordsLost, deployment="mnist", first=1, count=4).say(RecordsLost, deployment="", first=1, count=2)
    assert (metrics.value("records_lost_total", deployment="mnist"), metrics.value("records_lost_total")) == (4, 2)


def test_a_new_incident_does_not_inherit_what_was_measured_in_the_one_before(everything):
    everything.say(
        WindowAnalysed, "digits-2", window="w", last=9, records=5, mmd=0.1, mmd_p=0.01, ks=0.5, ks_p=0.01, clean_accuracy=0.9, estimated_accuracy=0.7,
        estimate_error=0.1, audit=(), teaching=(), predicted={}, classes=("a",),
    )  # fmt: skip
    assert (everything.value("accuracy_estimated_ratio"), everything.value("accuracy_audited_ratio")) == (0.7, None)


def test_a_service_that_does_not_answer_is_told_as_down_and_costs_nothing_else(everything):
    def gone():
        raise OSError("no reply")

    everything.watch("digits", gone)
    assert (everything.value("inference_up"), everything.value("inference_requests_total"), everything.value("records_seen_total")) == (0, None, 50)


def test_an_agent_that_fails_has_taken_its_time_too():
    class Broken:
        def deliver(self, agent, message):
            raise AgentError("no")

    told = []
    with pytest.raises(AgentError):
        Timed(Broken(), lambda *what: told.append(what)).deliver("checker", LogBegun(id="a", log="l"))
    assert [agent for agent, _, _ in told] == ["checker"]


# --- what is shipped for Grafana and Prometheus ---


def queries():
    """Every query that is shipped, with where it stands."""
    dashboard = json.loads((ROOT / "deploy/grafana/scanflow.json").read_text())
    found = {f"{panel['title']} {target['refId']}": target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    found |= {one["name"]: one["expr"] for one in dashboard["annotations"]["list"]}
    found |= {one["name"]: one["query"]["query"] for one in dashboard["templating"]["list"] if one["type"] == "query"}
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    return found | {rule["alert"]: rule["expr"] for group in rules["groups"] for rule in group["rules"]}


def test_every_metric_and_label_that_is_queried_exists(everything):
    known = {name: {label for label, _ in labels} for name, *labels in everything.samples()}
    for where, query in queries().items():
        names = re.findall(r"scanflow_[a-z_]+", query)
        assert names or query.startswith("up{"), where
        assert set(names) <= set(known), where
        labels = {one for part in re.findall(r"\bby \(([^)]*)\)", query) + re.findall(r"\bon \(([^)]*)\)", query) for one in part.split(", ")}
        labels |= set(re.findall(r"(\w+)=~?\"", query)) - {"job"}
        assert labels <= set().union(*(known[name] for name in names)), where


def test_what_alerts_say_names_labels_that_their_query_has(everything):
    known = {name: {label for label, _ in labels} for name, *labels in everything.samples()}
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"]):
        said = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        names = re.findall(r"scanflow_[a-z_]+", rule["expr"])
        assert said <= set().union({"instance"}, *(known[name] for name in names)), rule["alert"]


def test_panels_do_not_lie_over_one_another_and_have_ids_of_their_own():
    panels = json.loads((ROOT / "deploy/grafana/scanflow.json").read_text())["panels"]
    cells = [(x, y) for one in panels for place in [one["gridPos"]] for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])]
    assert len(cells) == len(set(cells)) and max(x for x, _ in cells) < 24 and len({one["id"] for one in panels}) == len(panels)


def test_the_scrape_that_is_shown_names_the_token_and_the_rules():
    shown = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    assert shown["scrape_configs"][0]["authorization"]["credentials_file"].endswith(f"/{TOKEN_FILE}")
    assert all((ROOT / "deploy/prometheus" / name).is_file() for name in shown["rule_files"])


# --- who may read them ---


@pytest.fixture
def served(state, everything):
    """A page with metrics on a real port: (client, token, page)."""
    with Office(state, {}) as office:
        token = metrics_token(state)
        page = WebPage(office.reception, port=0, routes=[scraped(everything, token)])
        with httpx.Client(base_url=page.address) as client:
            yield client, token, page
        page.close()


def test_the_token_opens_the_metrics_and_nothing_else(served):
    client, token, _ = served
    answer = client.get("/metrics", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain") and "scanflow_records_seen_total" in answer.text
    assert client.get(f"/metrics?token={token}").text.count("scanflow_") == answer.text.count("scanflow_")
    assert client.get(f"/enter?token={token}").status_code == 401
    assert client.get("/", headers={"authorization": f"Bearer {token}"}).status_code == 401


def test_without_the_token_nothing_is_told(served):
    client, _, page = served
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Bearer {page.access.token}"}, {"authorization": "Basic x"}):
        answer = client.get("/metrics", headers=headers)
        assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer" and TOKEN_FILE in answer.text and "scanflow_" not in answer.text
    assert client.get("/metrics", headers={"host": "evil.example.org"}).status_code == 421


def test_openmetrics_is_told_to_who_asks_for_it(served):
    client, token, _ = served
    answer = client.get("/metrics", headers={"authorization": f"Bearer {token}", "accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text") and answer.text.endswith("# EOF\n")


def test_programs_of_this_machine_need_no_token_only_where_that_was_wanted(metrics):
    app = Starlette(routes=[scraped(metrics, "t", open_here=True)(Access("c"))])

    async def status(where, address="/metrics"):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(where, 1)), base_url="http://127.0.0.1") as client:
            return (await client.get(address)).status_code

    assert [asyncio.run(status(where)) for where in ("127.0.0.1", "192.0.2.7")] == [200, 401]
    assert asyncio.run(status("127.0.0.1", "/metrics?token=wrong")) == 401


def test_the_token_stays_the_same_and_is_its_owners_only(state):
    token = metrics_token(state)
    assert metrics_token(state) == token and (state / TOKEN_FILE).stat().st_mode & 0o777 == 0o600
    (state / TOKEN_FILE).write_text("")
    assert metrics_token(state) not in ("", token)
