"""The reference of parameters, `cfn/PARAMETERS.md`, is what the master template says: BLESS=1 writes it anew."""

import os
import re

from cfnlint.decode.cfn_yaml import load
from conftest import CFN, ROOT

PAGE = CFN / "PARAMETERS.md"


def reference() -> str:
    parameters = load(str(CFN / "master-template.yaml"))["Parameters"]
    lines = [
        "# Parameters",
        "",
        "Settings for `cfn/environments/<environment>.env`, one `Name=Value` a line: the parameters of",
        "`cfn/master-template.yaml`. `BLESS=1 make test-cfn` writes this page.",
        "",
        "| parameter | meaning | default | allowed |",
        "|---|---|---|---|",
    ]
    for name, parameter in parameters.items():
        about = re.sub(r"\s+", " ", str(parameter.get("Description", ""))).strip().replace("|", "\\|")
        default = f"`{parameter['Default']}`" if str(parameter.get("Default", "")) else "none"
        allowed = ""
        if "AllowedValues" in parameter:
            allowed = ", ".join(f"`{value}`" for value in parameter["AllowedValues"] if str(value))
        elif "MinValue" in parameter:
            allowed = f"{parameter['MinValue']} to {parameter['MaxValue']}" if "MaxValue" in parameter else f"from {parameter['MinValue']}"
        lines.append(f"| `{name}` | {about} | {default} | {allowed} |")
    return "\n".join(lines) + "\n"


def test_the_page_of_parameters_is_what_the_template_says():
    text = reference()
    if os.environ.get("BLESS"):
        PAGE.write_text(text)
    assert PAGE.exists() and PAGE.read_text() == text
    assert "| `ProjectName` |" in text


def test_every_error_type_has_its_row():
    source = (ROOT / "host/runtime/src/error.rs").read_text()
    types = re.findall(r'Self::\w+ => "(\w+)"', source)
    page = (ROOT / "host/cli/README.md").read_text()
    table = page[page.index("\n## When a whole tick fails\n") :].split("\n## ")[1]
    assert len(types) > 8
    assert [name for name in types if f"`{name}`" not in table] == []
