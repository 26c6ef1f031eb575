"""Reads and judges the policy's settings."""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from jsontext import compact

ACCOUNT_ID = "{accountId}"


@dataclass
class Settings:
    """What the operator may choose."""

    # Which stored entries are removed that DRS no longer names: "all", "own" (that the sync added), or "none".
    removals: str = "all"
    # The name of the IAM role in a staging account.
    staging_role_name: str = "DRSOrchestrationRole"
    # The external id of that role, in which `{accountId}` stands for the staging account's id.
    external_id_template: str = f"drs-orchestration-{ACCOUNT_ID}"
    # The regions to ask, without duplicates; none means all of the tick's.
    regions: list[str] | None = None

    def external_id(self, account_id: str) -> str:
        """The external id for this staging account."""
        return self.external_id_template.replace(ACCOUNT_ID, account_id)


@dataclass
class Problem:
    """A setting that can't be used; the WIT package's `setting-error`."""

    path: str
    message: str


class Refused(Exception):
    """Settings that can't be used, with everything that is wrong with them."""

    def __init__(self, problems: list[Problem]):
        super().__init__("; ".join(f"{it.path}: {it.message}" for it in problems))
        self.problems = problems


def parse(text: str) -> Settings:
    """Reads a JSON object of settings, or raises `Refused`."""
    try:
        given = json.loads(text, parse_constant=_not_json)
        shown = compact(given)
    except ValueError as error:
        raise Refused([Problem("$", f"expected a JSON object, but this isn't JSON: {error}")]) from error
    if not isinstance(given, dict):
        raise Refused([Problem("$", f"expected a JSON object, found {shown}")])

    problems = []
    chosen = {}
    for key, value in sorted(given.items()):
        field, judge = KEYS.get(key, ("", _unknown))
        chosen[field] = value
        problems += judge(f"$.{key}", value)
    if problems:
        raise Refused(problems)
    return Settings(**chosen)


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} isn't a number in JSON")


def _unknown(path: str, _value: Any) -> list[Problem]:
    return [Problem(path, f"unknown setting; expected one of {', '.join(KEYS)}")]


def _removals(path: str, value: Any) -> list[Problem]:
    if value in ("all", "own", "none"):
        return []
    return [Problem(path, f'expected "all", "own" or "none", found {compact(value)}')]


def _role_name(path: str, value: Any) -> list[Problem]:
    if _matches(r"[A-Za-z0-9_+=,.@-]{1,64}", value):
        return []
    expected = "the name of an IAM role (not its ARN): 1 to 64 letters, digits or _+=,.@-"
    return [Problem(path, f"expected {expected}, found {compact(value)}")]


def _template(path: str, value: Any) -> list[Problem]:
    if not isinstance(value, str):
        return [Problem(path, f'expected a text like "{Settings.external_id_template}", found {compact(value)}')]
    # Any id serves: they all have 12 digits.
    external_id = value.replace(ACCOUNT_ID, "000000000000")
    if "{" in external_id or "}" in external_id:
        return [Problem(path, f"the only placeholder is {ACCOUNT_ID}, found {compact(value)}")]
    if _matches(r"[A-Za-z0-9_+=,.@:/-]{2,1224}", external_id):
        return []
    return [Problem(path, f"an external id has 2 to 1224 letters, digits or _+=,.@:/-, found {compact(value)}")]


def _regions(path: str, value: Any) -> list[Problem]:
    if not isinstance(value, list) or not value:
        return [Problem(path, f'expected a list of regions like ["us-east-1"], found {compact(value)}')]
    problems = []
    for index, region in enumerate(value):
        # Words, then a number, like us-gov-west-1 or eusc-de-east-1.
        if not _matches(r"[a-z]{2,}(-[a-z]+)+-[0-9]{1,2}", region):
            message = f"expected a region like us-east-1, found {compact(region)}"
        elif region in value[:index]:
            message = f"expected each region once, found {compact(region)} again"
        else:
            continue
        problems.append(Problem(f"{path}[{index}]", message))
    return problems


def _matches(pattern: str, value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None


# The settings: their fields here, and what is wrong with a value.
KEYS = {
    "removals": ("removals", _removals),
    "stagingRoleName": ("staging_role_name", _role_name),
    "externalIdTemplate": ("external_id_template", _template),
    "regions": ("regions", _regions),
}
