"""Decides one account: what is stored, what DRS says, what changes, and what is reported."""

from collections.abc import Callable

from componentize_py_types import Err
from wit_world.imports.types import (
    Account,
    AwsError,
    Change,
    NewStagingAccount,
    Outcome,
    Receipt,
    RegionError,
    RegionView,
    Status,
    Tick,
)

import settings
import skip
from diff import diff
from jsontext import compact
from settings import Settings


def decide(
    tick: Tick,
    account: Account,
    discover: Callable[[list[str]], list[RegionView]],
    update: Callable[[Change], Receipt],
) -> Outcome:
    """Decides `account`, and asks the host only for what is needed: `discover` unless the account is skipped or
    the settings can't be used, `update` if the stored list is to change. Both as the WIT package says.
    """
    outcome = _unchanged(account)
    outcome.reason = skip.reason(account)
    if outcome.reason is not None:
        outcome.status = Status.SKIPPED
        return outcome
    try:
        chosen = _settings_for(tick)
        views = discover(chosen.regions or [])
    except _Unusable as unusable:
        return _failed(outcome, str(unusable))
    except Err as refused:
        return _failed(outcome, _blame(refused.value))

    asked = chosen.regions or tick.regions
    # Some of the regions show what there is, but not what there isn't.
    limited = not set(tick.regions) <= set(asked)
    found = diff(account, views, "none" if limited else chosen.removals)
    unread = _incomplete(asked, views)

    outcome.incomplete_regions = [RegionError(region, error.code) for region, error in unread.items()]
    if found.kept:
        outcome.extra = compact({"kept": found.kept})
    if unread and found.removable:
        outcome.held_reason = "Incomplete discovery"
        outcome.held_removals = found.removable
    change = Change(
        add=[_entry(account, chosen, id, region) for id, region in found.add.items()],
        remove=[] if unread else found.removable,
    )
    if change.add or change.remove:
        return _changed(outcome, update(change))
    return _failed(outcome, _describe(unread)) if unread else outcome


class _Unusable(Exception):
    """Why the settings can't be used in this tick."""


def _unchanged(account: Account) -> Outcome:
    """An outcome that leaves everything as it is."""
    return Outcome(
        status=Status.UNCHANGED,
        reason=None,
        error=None,
        added=[],
        removed=[],
        held_removals=[],
        held_reason=None,
        staging_account_count=len(account.staging_accounts),
        incomplete_regions=[],
        extra=None,
    )


def _blame(error: AwsError) -> str:
    """Says whose fault it is that no region could be asked."""
    whose = "item" if error.code in ("NoRole", "InvalidRole") else "AWS"
    return f"{whose}: {error.code}: {error.message}"


def _failed(outcome: Outcome, error: str) -> Outcome:
    outcome.status = Status.FAILED
    outcome.error = error
    return outcome


def _changed(outcome: Outcome, receipt: Receipt) -> Outcome:
    """The outcome of a change, as far as the host took it."""
    outcome.held_removals = sorted({*outcome.held_removals, *receipt.held})
    if receipt.held_reason is not None:
        outcome.held_reason = receipt.held_reason
    if not receipt.added and not receipt.removed:
        reason = "the host gave no reason" if outcome.held_reason is None else outcome.held_reason
        return _failed(outcome, f"Removals held: {reason}")
    outcome.status = Status.UPDATED
    outcome.added = receipt.added
    outcome.removed = receipt.removed
    outcome.staging_account_count = receipt.total
    return outcome


def _settings_for(tick: Tick) -> Settings:
    try:
        chosen = settings.parse(tick.settings)
    except settings.Refused as refused:
        raise _Unusable(f"POLICY_SETTINGS: {refused}") from refused
    unknown = ", ".join(region for region in chosen.regions or [] if region not in tick.regions)
    if unknown:
        raise _Unusable(
            f"The setting `regions` names {unknown}, which isn't among the tick's regions: "
            "fix POLICY_SETTINGS or DRS_REGIONS"
        )
    # Nothing asked is nothing known, and would read like an account without staging accounts.
    if not tick.regions:
        raise _Unusable("There is no region to ask: fix DRS_REGIONS")
    return chosen


def _incomplete(asked: list[str], views: list[RegionView]) -> dict[str, AwsError]:
    """The regions that weren't read to their last page, sorted, with what went wrong there.

    A region of `asked` that has no view is one of them: nothing is known about it.
    """
    no_answer = AwsError("NoAnswer", "the host gave no view of it", retryable=True)
    seen = {view.region for view in views}
    unread = {region: no_answer for region in asked if region not in seen}
    unread |= {view.region: view.error for view in views if view.error is not None}
    return dict(sorted(unread.items()))


def _entry(account: Account, chosen: Settings, id: str, discovered_from: str) -> NewStagingAccount:
    """The complete entry for a staging account that DRS named."""
    # `arn:<partition>:iam::...`; the staging accounts are in the target's partition.
    prefix, _, rest = skip.role_arn(account).partition(":")
    partition = rest.split(":")[0] if prefix == "arn" else ""
    return NewStagingAccount(
        id=id,
        name=f"Staging Account {id}",
        role_arn=f"arn:{partition or 'aws'}:iam::{id}:role/{chosen.staging_role_name}",
        external_id=chosen.external_id(id),
        discovered_from=discovered_from,
    )


def _describe(unread: dict[str, AwsError]) -> str:
    """Like `AWS: ThrottlingException in eu-west-1 (Rate exceeded); AccessDeniedException in us-east-1`.

    A message that several regions gave is said once.
    """
    said = {""}
    errors = []
    for region, error in unread.items():
        name = f"{error.code} in {region}"
        errors.append(name if error.message in said else f"{name} ({error.message})")
        said.add(error.message)
    return f"AWS: {'; '.join(errors)}"
