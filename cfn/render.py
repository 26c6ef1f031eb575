"""Renders the master template for one environment: its settings become the defaults of the template's parameters, and
each operation in `Schedules` gets a switch and a nested stack.

Prints one `Name=Value` a line for every parameter, to deploy with. Without that an update of one parameter by
`--use-previous-template` would set the others back to what is written in the sources.
"""

import argparse
import json
import re
import sys
from pathlib import Path

import schedules


def settings(path: Path) -> dict[str, str]:
    """`Name=Value` lines; empty ones and those that begin with # don't count."""
    found = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            sys.exit(f"{path}:{number}: expected Name=Value, found {line!r}")
        found[name.strip()] = value.strip()
    return found


def render(template: str, values: dict[str, str]) -> tuple[str, dict[str, str]]:
    """The template with the values as defaults, and the value of every parameter. Raises ValueError where a schedule
    can't be."""
    listed = schedules.parse(values.get("Schedules", ""))
    template = schedules.expand(template, listed)
    lines, parameter, inside, found = [], "", False, {}
    for line in template.splitlines():
        if re.match(r"\S", line) and not line.startswith("#"):
            inside = line == "Parameters:"
        if inside and (name := re.match(r"  (\w+):$", line)):
            parameter = name[1]
        if inside and (default := re.match(r"    Default: (.*)", line)):
            if parameter in values:
                line = f"    Default: {json.dumps(values[parameter])}"
                found[parameter] = values[parameter]
            else:
                found[parameter] = default[1].strip("'")
        lines.append(line)
    schedules.check(listed, found)
    return "\n".join(lines) + "\n", found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--template", type=Path, required=True)
    parser.add_argument("--settings", type=Path, help="Name=Value lines")
    parser.add_argument("--out", type=Path, help="the rendered template")
    parser.add_argument("--only", metavar="NAME", help="print what the settings say of this one, and no default")
    parser.add_argument(
        "--schedules", metavar="LIST", help="print operation, name and switch of each schedule of this list, and no more"
    )
    parser.add_argument("values", nargs="*", metavar="Name=Value", help="more, which the settings can't change")
    arguments = parser.parse_intermixed_args()

    if arguments.schedules is not None:
        for one in schedules.parse(arguments.schedules):
            print(one.operation, one.name, one.switch)
        return 0
    chosen = settings(arguments.settings) if arguments.settings else {}
    fixed = dict(value.split("=", 1) for value in arguments.values)
    try:
        template, found = render(arguments.template.read_text(), chosen | fixed)
    except ValueError as error:
        sys.exit(f"{arguments.settings or arguments.template}: {error}")
    for name, value in chosen.items():
        if name != "StackName" and name not in found:
            sys.exit(f"{arguments.settings}: there is no parameter {name}; there are StackName, {', '.join(found)}")
        if value != fixed.get(name, value):
            sys.exit(f"{arguments.settings}: {name} can't be chosen here: it is {fixed[name]}")
    if arguments.out:
        arguments.out.write_text(template)
    for name, value in (chosen if arguments.only else chosen | found).items():
        if arguments.only in (None, name):
            print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
