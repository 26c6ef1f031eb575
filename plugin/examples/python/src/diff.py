"""Compares the stored list of staging accounts with what DRS said."""

from dataclasses import dataclass

from wit_world.imports.types import Account, RegionView

# Who added an entry, where the sync did.
ADDED_BY = "staging-account-sync"


@dataclass
class Diff:
    """How the stored list differs from what DRS said."""

    # The ids to add, sorted, each with the alphabetically first region that named it.
    add: dict[str, str]
    # Stored ids that DRS didn't name, and that may be removed, sorted.
    removable: list[str]
    # Stored ids that DRS didn't name, and that the settings keep, sorted.
    kept: list[str]


def diff(account: Account, views: list[RegionView], removals: str) -> Diff:
    """Compares the ids that `account` has stored with those that `views` name.

    The account itself is never one of its staging accounts: DRS lists it, and a stored list must not.
    """
    found: dict[str, str] = {}
    for view in views:
        for id in view.staging_account_ids:
            if id != account.id:
                found[id] = min(found.get(id, view.region), view.region)

    stored = {entry.id for entry in account.staging_accounts}
    # An id that is listed twice is ours only if nobody else listed it.
    foreign = {entry.id for entry in account.staging_accounts if entry.added_by != ADDED_BY}
    stale = stored - found.keys()
    removable = {"all": stale, "own": stale - foreign, "none": set()}[removals]
    return Diff(
        add={id: found[id] for id in sorted(found.keys() - stored)},
        removable=sorted(removable),
        kept=sorted(stale - removable),
    )
