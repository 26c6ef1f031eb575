"""Makes the tick's summary from what became of each account."""

import json
from typing import Any

from wit_world.imports.types import AccountOutcome, Outcome, Tick

from jsontext import compact

# The names of a detail's own fields; `extra` can't change them.
FIELDS = {
    "accountId",
    "accountName",
    "status",
    "added",
    "removed",
    "totalStaging",
    "stagingAccountCount",
    "reason",
    "error",
    "incompleteRegions",
    "heldRemovals",
    "heldReason",
}


def summarize(tick: Tick, outcomes: list[AccountOutcome]) -> str:
    """The summary as a JSON object, its keys in their documented order and its details ordered by account id.

    An account without changes counts as processed and as skipped, so that updated, skipped and failed add up to
    the total.
    """
    statuses = [_status(of.outcome) for of in outcomes]
    updated, unchanged = statuses.count("updated"), statuses.count("unchanged")
    summary = {
        "timestamp": tick.now,
        **({"dryRun": True} if tick.dry_run else {}),
        "totalAccounts": len(outcomes),
        "accountsProcessed": updated + unchanged,
        "accountsUpdated": updated,
        "accountsSkipped": unchanged + statuses.count("skipped"),
        "accountsFailed": statuses.count("failed"),
        "details": [_detail(of) for of in sorted(outcomes, key=lambda of: of.account_id)],
    }
    return compact(summary, sort_keys=False)


def _status(outcome: Outcome) -> str:
    return outcome.status.name.lower()


def _detail(of: AccountOutcome) -> dict[str, Any]:
    outcome = of.outcome
    detail = {
        "accountId": of.account_id,
        "accountName": of.account_name or "Unknown",
        "status": _status(outcome),
        **_result(outcome),
    }
    if outcome.incomplete_regions:
        detail["incompleteRegions"] = [{"region": it.region, "code": it.code} for it in outcome.incomplete_regions]
    if outcome.held_removals:
        detail["heldRemovals"] = outcome.held_removals
    if outcome.held_reason:
        detail["heldReason"] = outcome.held_reason
    return detail | _extra(outcome.extra)


def _result(outcome: Outcome) -> dict[str, Any]:
    """The fields that only this status has."""
    match _status(outcome):
        case "updated":
            return {
                "added": sorted(outcome.added),
                "removed": sorted(outcome.removed),
                "totalStaging": outcome.staging_account_count,
            }
        case "unchanged":
            return {"stagingAccountCount": outcome.staging_account_count}
        case "skipped":
            return {"reason": "Unknown reason" if outcome.reason is None else outcome.reason}
        case _:
            return {"error": "Unknown error" if outcome.error is None else outcome.error}


def _extra(text: str | None) -> dict[str, Any]:
    """What else there is to report, its keys sorted; nothing if it isn't a JSON object."""
    try:
        extra = json.loads(compact(json.loads(text or "")))
    except ValueError:
        return {}
    if not isinstance(extra, dict):
        return {}
    return {key: value for key, value in extra.items() if key not in FIELDS}
