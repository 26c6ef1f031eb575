"""The cohort of a rollout, in Python: which accounts a candidate decides (see plugin/README.md).

python3 plugin/examples/cohorts.py                          compare with plugin/cohorts.json
python3 plugin/examples/cohorts.py SALT HUNDREDTHS ID...    print the accounts that are in a cohort
"""

import hashlib
import json
import sys
from pathlib import Path


def bucket(salt: str, account_id: str) -> int:
    """An account's place in a rollout's order, from 0 to 9,999."""
    first = int.from_bytes(hashlib.sha256((salt + account_id).encode()).digest()[:4], "big")
    return first * 10_000 >> 32


def cohort(salt: str, share: int, account_ids: list[str]) -> list[str]:
    """The accounts in the cohort of a share, in hundredths of a percent."""
    return [account_id for account_id in account_ids if bucket(salt, account_id) < share]


def main(arguments: list[str]) -> int:
    if arguments:
        salt, share, *ids = arguments
        print("\n".join(cohort(salt, int(share), ids)))
        return 0
    vectors = json.loads((Path(__file__).parent.parent / "cohorts.json").read_text())
    for one in vectors["cohorts"]:
        found = cohort(one["salt"], one["share"], vectors["accountIds"])
        if found != one["accountIds"]:
            print(f"cohorts.py: salt {one['salt']!r}, share {one['share']}: expected {one['accountIds']}, found {found}", file=sys.stderr)
            return 1
    print(f"cohorts.py: {len(vectors['cohorts'])} cohorts of {len(vectors['accountIds'])} accounts are as in cohorts.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
