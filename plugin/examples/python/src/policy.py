"""The bindings: joins the policy's functions to the host. No rule lives here.

Reading order: `decide` (one account, from top to bottom), the `skip`, `settings` and `diff` that it uses, then
`summary`. `wit_world` is what componentize-py makes of the WIT package.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import wit_world
from componentize_py_types import Err
from wit_world.imports import account, logging
from wit_world.imports.types import AccountOutcome, Operation, Outcome, PolicyInfo, Tick

import settings
import summary
from decide import decide

# Read while the component is built: a policy has no files.
SETTINGS_SCHEMA = Path(__file__).with_name("settings.schema.json").read_text(encoding="utf-8")


class WitWorld(wit_world.WitWorld):
    """The default policy, as the host sees it."""

    def info(self) -> PolicyInfo:
        return PolicyInfo(
            name="staging-account-sync",
            version="0.1.0",
            operations=[Operation("sync_staging_accounts", "staging account sync")],
            settings_schema=SETTINGS_SCHEMA,
        )

    def validate_settings(self, settings_text: str) -> None:
        try:
            settings.parse(settings_text)
        except settings.Refused as refused:
            raise Err(refused.problems) from refused

    def sync(self, tick: Tick) -> Outcome:
        return logged(lambda: decide(tick, account.describe(), account.discover, account.update))

    def summarize(self, tick: Tick, outcomes: list[AccountOutcome]) -> str:
        return logged(lambda: summary.summarize(tick, outcomes))


T = TypeVar("T")


def logged(work: Callable[[], T]) -> T:
    """Logs an exception before it ends the instance.

    The host only sees that it ended, and adds the last logged error to that.
    """
    try:
        return work()
    except Exception as error:
        where = error.__traceback__
        while where and where.tb_next:
            where = where.tb_next
        # Without `traceback`, which reads source files: a policy has none.
        place = f"{Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else "?"
        logging.log(logging.Level.ERROR, f"{type(error).__name__}: {error}, in {place}")
        raise
