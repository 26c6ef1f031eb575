"""The documentation: links resolve, every page is reached from the README, and the README stays short."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT

README = ROOT / "README.md"
TRACKED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, text=True, capture_output=True, check=True).stdout
PAGES = [ROOT / name for name in TRACKED.split()]


def without_blocks(page: Path) -> str:
    """The text without blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", without_blocks(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


def links(page: Path) -> list[str]:
    prose = re.sub(r"`[^`\n]*`", "`code`", without_blocks(page))
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    wrong = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and anchor not in anchors(there)):
            wrong.append(link)
    assert wrong == []


def test_there_are_links_to_check():
    assert len(PAGES) > 10 and sum(len(links(page)) for page in PAGES) > 30


def test_every_page_is_reached_from_the_readme():
    reached, left = {README}, [README]
    while left:
        page = left.pop()
        for link in links(page):
            there = (page.parent / link.partition("#")[0]).resolve()
            if there.suffix == ".md" and there.exists() and there not in reached:
                reached.add(there)
                left.append(there)
    # Templates are read where their copies are.
    templates = ("plugin/examples/", "TEMPLATE")
    assert [page for page in PAGES if page not in reached and not any(part in str(page) for part in templates)] == []


def test_the_readme_is_short():
    text = README.read_text()
    assert len(text.splitlines()) <= 180
    assert len(text.split()) <= 1200
