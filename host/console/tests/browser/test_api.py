"""What programs are answered is what openapi.json says."""

import json
import urllib.error
import urllib.request

import jsonschema
import openapi_spec_validator
import pytest

from conftest import BOUND, CHANGED, ROOT

SPEC = json.loads((ROOT / "host/console/openapi.json").read_text())


def asked(console, path):
    """Status and JSON of an answer below /api/v1."""
    try:
        with urllib.request.urlopen(f"{console.url}/api/v1{path}", timeout=BOUND) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def check(path, status, answer):
    schema = SPEC["paths"][path]["get"]["responses"][str(status)]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": SPEC["components"]}).validate(answer)


def test_it_is_a_specification_and_the_one_that_is_served(console):
    openapi_spec_validator.validate(SPEC)
    assert asked(console, "/openapi.json") == (200, SPEC)


def test_every_answer_is_what_it_says(console):
    ticks = asked(console, "/ticks")[1]["ticks"]
    fleet = asked(console, "/fleet")[1]["accounts"]
    paths = {
        "/fleet": ["/fleet", "/fleet?operation=other"],
        "/accounts/{id}": [f"/accounts/{account['accountId']}" for account in fleet]
        + [f"/accounts/{CHANGED}?tick={ticks[-1]['tick']}", f"/accounts/{CHANGED}?before={ticks[-1]['tick']}"],
        "/ticks": ["/ticks", "/ticks?since=30d", "/ticks?since=nonsense"],
        "/ticks/{id}": [f"/ticks/{tick['tick']}" for tick in ticks],
        "/policies": ["/policies"],
        "/simulate": ["/simulate?accounts=20&regions=2"],
    }
    assert paths.keys() == SPEC["paths"].keys()
    for name, examples in paths.items():
        for path in examples:
            status, answer = asked(console, path)
            assert status == 200, path
            check(name, status, answer)


@pytest.mark.parametrize(
    ("name", "path", "status"),
    [
        ("/accounts/{id}", "/accounts/999999999999", 404),
        ("/accounts/{id}", "/accounts/%ff", 400),
        ("/ticks/{id}", "/ticks/nonsense", 404),
        ("/simulate", "/simulate?accounts=many", 400),
    ],
)
def test_what_cant_be_answered_says_why(console, name, path, status):
    found, answer = asked(console, path)
    assert found == status and answer["error"]
    check(name, status, answer)


def test_commands_print_what_is_answered(console):
    """The same types: what overlaps is equal, member by member."""
    explained = json.loads(console.world.run("explain", "--account", CHANGED, "--json"))
    assert asked(console, f"/accounts/{CHANGED}")[1]["explanation"] == explained
    history = json.loads(console.world.run("history", "--account", CHANGED, "--json"))
    timeline = asked(console, f"/accounts/{CHANGED}")[1]["timeline"]
    assert [{k: v for k, v in change.items() if k not in ("before", "after")} for change in timeline] == history
    status = json.loads(console.world.run("policy", "status", console.world.manifest, "--json"))
    assert asked(console, "/policies")[1]["sources"][0]["policies"] == status
