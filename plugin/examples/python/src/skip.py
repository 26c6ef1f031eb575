"""Says which accounts the sync doesn't look at."""

from wit_world.imports.types import Account


def reason(account: Account) -> str | None:
    """Why `account` is skipped, or None if it is to be synced. The texts are part of the summary's contract."""
    if account.is_current:
        return "Current account - no staging accounts"
    if not role_arn(account):
        return "No role ARN configured"
    return None


def role_arn(account: Account) -> str:
    """The account's role. A blank one is none: forms that were saved empty store it like that."""
    return (account.role_arn or "").strip()
