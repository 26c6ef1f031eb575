"""Tests of the settings: what is accepted, and what is said about the rest."""

import json
from unittest import TestCase

import fixture  # noqa: F401 (finds the sources)

import settings


def problems(text):
    try:
        settings.parse(text)
    except settings.Refused as refused:
        return [f"{it.path}: {it.message}" for it in refused.problems]
    return []


def paths(given):
    return [problem.split(": ")[0] for problem in problems(json.dumps(given))]


class TestSettings(TestCase):
    def test_defaults_and_choices(self):
        chosen = settings.parse('{"removals": "own", "externalIdTemplate": "x-{accountId}"}')
        self.assertEqual((chosen.removals, chosen.staging_role_name), ("own", "DRSOrchestrationRole"))
        self.assertEqual(chosen.external_id("111122223333"), "x-111122223333")

    def test_every_problem_at_once_in_the_order_of_the_paths(self):
        text = """{
            "regions": ["us-east-1", "us-east-1", "nowhere", 1], "region": "us-east-1", "stagingRoleName": "a/b",
            "externalIdTemplate": "x-{account}", "removals": {"b": [], "a": "ü"}
        }"""
        self.assertEqual(
            problems(text),
            [
                '$.externalIdTemplate: the only placeholder is {accountId}, found "x-{account}"',
                "$.region: unknown setting; expected one of removals, stagingRoleName, externalIdTemplate, regions",
                '$.regions[1]: expected each region once, found "us-east-1" again',
                '$.regions[2]: expected a region like us-east-1, found "nowhere"',
                "$.regions[3]: expected a region like us-east-1, found 1",
                '$.removals: expected "all", "own" or "none", found {"a":"ü","b":[]}',
                "$.stagingRoleName: expected the name of an IAM role (not its ARN): 1 to 64 letters, digits or "
                '_+=,.@-, found "a/b"',
            ],
        )

    def test_not_an_object(self):
        for text in ["", "[]", "null", "{", '"all"', "NaN", "1e999", r'{"removals": "\ud800"}']:
            self.assertEqual([problem[:2] for problem in problems(text)], ["$:"], text)
        self.assertEqual(problems("[1, 2]"), ["$: expected a JSON object, found [1,2]"])

    def test_bounds(self):
        for key, good, bad in [
            ("stagingRoleName", "x" * 64, "x" * 65),
            ("stagingRoleName", "_+=,.@-", "x\n"),
            ("externalIdTemplate", "ab", "a"),
            ("externalIdTemplate", "{accountId}", "{accountId}}"),
            ("externalIdTemplate", "x" * 1212 + "{accountId}", "x" * 1213 + "{accountId}"),
            ("externalIdTemplate", "a:b/c", 1),
            ("regions", ["us-gov-west-1", "eusc-de-east-1"], []),
            ("removals", "none", "None"),
        ]:
            self.assertEqual(paths({key: good}), [], key)
            self.assertEqual(paths({key: bad}), [f"$.{key}"], bad)
        for region in ["us-east", "us-1", "US-EAST-1", "us-east-1a", "us--1", "-east-1", "us-east-1\n", ""]:
            self.assertEqual(paths({"regions": [region]}), ["$.regions[0]"], region)
