"""Reference pages that are generated (BLESS=1 writes them anew), and tables that must name what the code and templates have."""

import json
import os
import re
from pathlib import Path

from cfnlint.decode.cfn_yaml import load
from conftest import CFN, ROOT

SOURCES = sorted(
    path for crate in ("runtime", "lambda", "console", "cli") for path in (ROOT / "host" / crate / "src").rglob("*.rs") if path.name != "tests.rs"
)


def blessed(page: Path, lines: list[str]):
    """The page is what these lines say."""
    text = "\n".join(lines) + "\n"
    if os.environ.get("BLESS"):
        page.write_text(text)
    assert page.exists() and page.read_text() == text, f"{page.name} is out of date: BLESS=1 make test-cfn"


def section(page: Path, title: str) -> str:
    """A section of a page, with its subsections."""
    text = page.read_text()
    level = re.search(rf"^(#+) {re.escape(title)}$", text, flags=re.MULTILINE)
    rest = text[level.end() :]
    end = re.search(rf"^#{{1,{len(level[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: end.start()] if end else rest


def test_the_page_of_parameters_is_what_the_template_says():
    lines = [
        "# Parameters",
        "",
        "Settings for `cfn/environments/<environment>.env`, one `Name=Value` a line: the parameters of",
        "`cfn/master-template.yaml`. `BLESS=1 make test-cfn` writes this page.",
        "",
        "| parameter | meaning | default | allowed |",
        "|---|---|---|---|",
    ]
    for name, parameter in load(str(CFN / "master-template.yaml"))["Parameters"].items():
        about = cell(str(parameter.get("Description", "")))
        default = f"`{parameter['Default']}`" if str(parameter.get("Default", "")) else "none"
        allowed = ""
        if "AllowedValues" in parameter:
            allowed = ", ".join(f"`{value}`" for value in parameter["AllowedValues"] if str(value))
        elif "MinValue" in parameter:
            allowed = f"{parameter['MinValue']} to {parameter['MaxValue']}" if "MaxValue" in parameter else f"from {parameter['MinValue']}"
        lines.append(f"| `{name}` | {about} | {default} | {allowed} |")
    assert any("| `ProjectName` |" in line for line in lines)
    blessed(CFN / "PARAMETERS.md", lines)


def cell(text: str) -> str:
    """A text as a cell of a table."""
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|")


def fields(schema: dict, of: dict, path: str = "") -> list[str]:
    """Rows for the members of an object of a JSON schema, nested ones included."""
    rows = []
    while "$ref" in of:
        of = schema["$defs"][of["$ref"].split("/")[-1]]
    for name, member in of.get("properties", {}).items():
        about = member.get("description", "")
        while "$ref" in member:
            member = schema["$defs"][member["$ref"].split("/")[-1]]
        kind = member.get("type") or ("boolean" if isinstance(member.get("const"), bool) else "")
        kinds = kind if isinstance(kind, str) else " or ".join(kind)
        inner = f"{path}{name}"
        rows.append(f"| `{inner}` | {kinds} | {cell(about or member.get('description', ''))} |")
        if kind == "array":
            items = member.get("items", {})
            rows += [row for one in items.get("oneOf", [items]) for row in fields(schema, one, f"{inner}[].")]
        elif kind == "object":
            rows += fields(schema, member, f"{inner}.")
    return list(dict.fromkeys(rows))


def log_lines() -> list[str]:
    """Rows for the messages that the programs log: level, message, fields."""
    rows = set()
    macro = re.compile(r"tracing::(debug|info|warn|error)!\((.*?)\);", flags=re.DOTALL)
    for source in SOURCES:
        text = source.read_text().split("#[cfg(test)]")[0]
        for level, arguments in macro.findall(text.replace("),\n", ");\n") if "=> tracing" in text else text):
            found = re.search(r'"((?:[^"\\]|\\.)*)"', arguments, flags=re.DOTALL)
            if not found:
                continue
            message = re.sub(r"\\\n\s*", "", found[1])
            names = re.findall(r"(?:^|,)\s*(\w+)(?=\s*(?:=[^=]|,))", arguments[: found.start()])
            names = [name for name in names if name not in ("_aws",)]
            message = re.sub(r"\{[^}]*\}", "…", message)
            rows.add((level, message, ", ".join(f"`{name}`" for name in names)))
    order = {"error": 0, "warn": 1, "info": 2, "debug": 3}
    rows = sorted(rows, key=lambda row: (order[row[0]], *row[1:]))
    return [f"| {level} | {cell(message)} | {names} |" for level, message, names in rows]


def metrics() -> list[str]:
    """The names of all metrics."""
    named = r'(?:count\(|name: )"(\w+)"'
    sources = [ROOT / "host/runtime/src/tick/numbers.rs", ROOT / "host/runtime/src/metrics.rs", *SOURCES]
    texts = [path.read_text().split("#[cfg(test)]")[0] for path in sources if path.exists()]
    return sorted({name for text in texts if "Metric" in text for name in re.findall(r'Metric(?:::| \{ )' + named, text)})


def test_the_reference_of_events_summaries_and_log_lines_is_what_the_program_has():
    schemas = ROOT / "host/cli/schemas"
    event, summary = (json.loads((schemas / f"{name}.schema.json").read_text()) for name in ("event", "summary"))
    lines = [
        "# Events, summaries and log lines",
        "",
        "`BLESS=1 make test-cfn` writes this page, from the JSON schemas (`staging-sync schema event`, `summary`) and the",
        "sources. For what the fields mean together, see [Events](README.md#the-event), [The summary](README.md#the-summary) and",
        "[Monitor](../../cfn/README.md#monitor).",
        "",
        "## Event",
        "",
        "| member | type | meaning |",
        "|---|---|---|",
        *fields(event, event),
        "",
        "## Summary",
        "",
        "| member | type | meaning |",
        "|---|---|---|",
        *fields(summary, summary["$defs"]["summary"]),
        "",
        "## Log lines",
        "",
        "`…` stands for a value. An account's and a tick's lines have the fields of their span as well: `requestId`, `operation`,",
        "`accountId`.",
        "",
        "| level | message | fields |",
        "|---|---|---|",
        *log_lines(),
    ]
    assert len(lines) > 60
    blessed(ROOT / "host/cli/REFERENCE.md", lines)


def test_every_error_type_has_its_row():
    source = (ROOT / "host/runtime/src/error.rs").read_text()
    types = re.findall(r'Self::\w+ => "(\w+)"', source)
    table = section(ROOT / "host/cli/README.md", "When a whole tick fails")
    assert len(types) > 8
    assert [name for name in types if f"`{name}`" not in table] == []


def test_every_metric_is_named_in_monitor():
    page = section(CFN / "README.md", "Metrics")
    known = metrics()
    assert len(known) > 8
    assert [name for name in known if f"`{name}`" not in page] == []


def test_every_function_of_the_contract_is_in_its_page():
    wit = re.sub(r"///.*", "", (ROOT / "wit/policy.wit").read_text())
    functions = re.findall(r"([a-z][a-z-]*): func\(", wit)
    page = (ROOT / "wit/README.md").read_text()
    assert len(functions) > 8
    assert [name for name in functions if f"`{name}`" not in page] == []
    version = re.search(r"^package (\S+);", wit, flags=re.MULTILINE)[1]
    assert f"`{version}`" in page


def actions(template: str) -> set[str]:
    """The actions that the roles of a template are allowed, those on a condition included."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            if value.get("Effect") == "Allow" and "Principal" not in value:
                found.update(re.findall(r'"([a-z0-9]+:[A-Z]\w+)"', json.dumps(value.get("Action"))))
            value = list(value.values())
        if isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(load(str(CFN / template)))
    return found


def test_the_tables_of_permissions_name_what_the_templates_allow():
    page = section(CFN / "README.md", "Permissions").split("\n### ")[0]
    named, column = set(), 0
    for cells in (line.split("|")[1:-1] for line in page.splitlines() if line.startswith("|")):
        if "action" in [cell.strip() for cell in cells]:
            column = [cell.strip() for cell in cells].index("action")
        service, row = None, cells[column]
        for action in re.findall(r"`((?:[a-z0-9]+:)?[A-Z][A-Za-z]+)`", row):
            service = action.split(":")[0] if ":" in action else service
            named.add(action if ":" in action else f"{service}:{action}")
    allowed = set().union(*(actions(name) for name in ("lambda-stack.yaml", "fanout-stack.yaml", "eventbridge-stack.yaml", "target-account-role.yaml")))
    assert len(allowed) > 10
    assert allowed <= named, f"not in cfn/README.md: {sorted(allowed - named)}"
    assert named <= allowed, f"in cfn/README.md, and not in the templates: {sorted(named - allowed)}"
