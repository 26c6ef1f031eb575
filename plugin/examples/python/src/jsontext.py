"""JSON texts as the default policy writes them: compact, in Unicode."""

import json
from typing import Any


def compact(value: Any, sort_keys: bool = True) -> str:
    """The text of a value. Raises ValueError for what can't be written: half a character, an infinite number."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=sort_keys)
    text.encode()
    return text
