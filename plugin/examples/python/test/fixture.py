"""Small accounts, views and ticks for the tests; an account's id is written as a number."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

sys.path.insert(0, str(Path(__file__).parent.parent / "src"))

# The number of the target account.
TARGET = 0


def id(number):
    return f"{number:012}"


def tick(**settings):
    """A tick over `eu-west-1` and `us-east-1` with these settings."""
    return SimpleNamespace(
        operation="sync_staging_accounts",
        now="2026-02-02T22:45:00Z",
        dry_run=False,
        regions=["eu-west-1", "us-east-1"],
        settings=json.dumps(settings),
    )


def account(*staging_accounts):
    """The target account, with a role and this list."""
    return SimpleNamespace(
        id=id(TARGET),
        name="DEMO_TARGET",
        is_current=False,
        role_arn=f"arn:aws-us-gov:iam::{id(TARGET)}:role/Sync",
        staging_accounts=list(staging_accounts),
    )


def entry(number, added_by=None):
    """An entry of the stored list."""
    return SimpleNamespace(id=id(number), name=None, added_by=added_by, added_at=None)


def view(region, numbers, error=None):
    """A region that was read to its last page, or failed on the way."""
    return SimpleNamespace(region=region, staging_account_ids=[id(number) for number in numbers], error=error)


def aws_error(code, message=""):
    return SimpleNamespace(code=code, message=message, retryable=False)
