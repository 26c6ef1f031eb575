"""The pages as people use them: found, filtered, read and printed, with a keyboard, in light and dark."""

import json

import pytest

from conftest import CHANGED, ROOT, SCREENSHOTS

AXE = (ROOT / "target/axe/node_modules/axe-core/axe.min.js").read_text()


def rows(page):
    return page.locator("table tbody tr")


def test_the_fleet_of_the_demo(looking):
    page = looking.goto("/")
    assert page.title() == "Fleet · staging-sync"
    assert rows(page).count() == len(looking.console.get("/api/v1/fleet")["accounts"]) == 12
    row = rows(page).filter(has_text=CHANGED)
    assert row.get_by_text("updated").is_visible() and row.get_by_text("DEMO_TARGET").is_visible()
    assert rows(page).filter(has_text="Payments").get_by_text("AccessDenied").first.is_visible()
    assert rows(page).filter(has_text="Analytics").get_by_text("ThrottlingException in eu-west-1").is_visible()
    assert page.get_by_text("All times are in UTC").is_visible()
    # The picture of README.md.
    page.set_viewport_size({"width": 1280, "height": 900})
    page.screenshot(path=SCREENSHOTS / "readme.png")


def test_a_filter_is_in_the_address_and_works_without_script(looking):
    page = looking.goto("/")
    page.get_by_label("Name, id or reason").fill("pay")
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Show").click()
    assert "q=pay&status=failed" in page.url
    assert rows(page).count() == 1 and rows(page).get_by_text("Payments").is_visible()
    page.get_by_role("link", name="Show all").click()
    assert rows(page).count() == 12
    page.get_by_role("link", name="Name").click()
    names = rows(page).locator("th").all_inner_texts()
    named = [name for name in names if name != "Unknown"]
    assert named == sorted(named)
    page.get_by_role("link", name="Name").click()
    assert "order=desc" in page.url and page.locator("th[aria-sort=descending]").count() == 1


def test_an_account_tells_what_is_stored_what_drs_said_and_what_to_do(looking):
    page = looking.goto("/")
    page.get_by_role("link", name=CHANGED).click()
    assert page.get_by_role("heading", level=1).inner_text() == "DEMO_TARGET"
    regions = page.get_by_role("region", name="What DRS said")
    assert regions.get_by_text("777788889999").first.is_visible()
    change = page.locator(".timeline li").first
    assert change.get_by_text("+777788889999").is_visible() and change.get_by_text("−444455556666").is_visible()
    assert "444455556666" in change.locator("dd").first.inner_text()
    assert page.get_by_text(f"staging-sync undo --account {CHANGED}").is_visible()
    assert page.get_by_text(f"staging-sync freeze --account {CHANGED}").is_visible()


def test_the_timeline_after_a_second_tick_and_the_operator(looking):
    world = looking.console.world
    page = looking.goto(f"/accounts/{CHANGED}")
    before = page.locator(".timeline li").count()
    world.run("undo", "--account", CHANGED, "--no-veto", "--comment", "DRS was wrong")
    world.tick()
    page.reload()
    changes = page.locator(".timeline li")
    assert changes.count() == before + 2
    assert changes.nth(0).get_by_text("+777788889999").is_visible()
    assert changes.nth(1).get_by_text("DRS was wrong").is_visible()
    assert changes.nth(0).locator("dd").nth(0).inner_text() == changes.nth(1).locator("dd").nth(1).inner_text()
    changes.nth(1).get_by_role("link", name="Explain").click()
    assert "undo by" in page.locator("#why").locator("xpath=..").inner_text()
    page.get_by_role("link", name="Ticks").click()
    assert rows(page).count() == 3
    assert page.locator("svg[role=img]").count() == 4
    rows(page).first.get_by_role("link").click()
    assert page.get_by_role("region", name="Calls of AWS").get_by_text("drs").is_visible()
    accounts = page.get_by_role("region", name="Accounts of the tick")
    assert accounts.get_by_role("link", name=CHANGED).is_visible()


def test_policies_after_a_swap_and_a_broken_manifest(looking):
    world = looking.console.world
    page = looking.goto("/policies")
    assert page.get_by_role("heading", name="previous").locator("xpath=..").get_by_text("none").is_visible()
    settings = world.manifest.with_name("settings.json")
    settings.write_text('{"removals": "none", "externalIdTemplate": "a-secret"}')
    world.publish("--settings", settings)
    page.reload()
    active = page.get_by_role("heading", name="active").locator("xpath=..")
    assert '"removals":"none"' in active.inner_text() and "a-secret" not in page.content()
    previous = page.get_by_role("heading", name="previous").locator("xpath=..")
    assert "staging-account-sync" in previous.inner_text() and "yes" in previous.inner_text()

    good = world.manifest.read_text()
    broken = json.loads(good)
    broken["sha256"] = "0" * 64
    broken["rollout"] = {"steps": [{"share": 100}]}
    world.manifest.write_text(json.dumps({**broken, "rollout": None, "unknown": 1}))
    page.reload()
    assert "unknown" in page.locator(".notice").inner_text()
    del broken["rollout"]
    world.manifest.write_text(json.dumps(broken))
    page.reload()
    active = page.get_by_role("heading", name="active").locator("xpath=..").inner_text()
    assert "rejected" in active and "sha256" in active
    world.manifest.write_text(good)


def test_what_if(looking):
    page = looking.goto("/simulate")
    page.get_by_label("Target accounts").fill("60")
    page.get_by_role("button", name="Simulate").click()
    assert page.locator("svg[role=img]").count() == 2
    assert rows(page).count() == 10 and page.get_by_text("512 MB (asked)").first.is_visible()
    looking.shot("simulate")
    page.get_by_label("Target accounts").fill("1000000")
    page.get_by_role("button", name="Simulate").click()
    assert "expected 1 to 10000" in page.get_by_role("alert").inner_text()


def all_pages(console):
    """The address of every page, by name."""
    changed = console.get("/api/v1/ticks?since=24h")["ticks"]
    tick = next(tick["tick"] for tick in reversed(changed) if tick["author"] is None)
    return {
        "fleet": "/",
        "fleet-nothing-found": "/?q=nothing+has+this+name",
        "account": f"/accounts/{CHANGED}",
        "account-failed": "/accounts/234567890123",
        "account-incomplete": "/accounts/345678901234",
        "ticks": "/ticks",
        "tick": f"/ticks/{tick}",
        "policies": "/policies",
        "simulate-form": "/simulate",
        "simulate": "/simulate?accounts=40",
    }


def test_nothing_is_in_anybodys_way(coloured):
    for name, path in all_pages(coloured.console).items():
        page = coloured.goto(path)
        page.evaluate(AXE)
        found = page.evaluate("axe.run()")
        assert found["passes"], name
        told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]]
        assert told == [], f"{name} in {coloured.scheme}"
        coloured.shot(f"{name}-{coloured.scheme}")
    # Where there's nothing, too.
    assert coloured.page.goto(coloured.console.url + "/nothing").status == 404
    coloured.page.evaluate(AXE)
    assert coloured.page.evaluate("axe.run()")["violations"] == []
    coloured.told.clear()  # the browser tells of the 404


@pytest.mark.parametrize("width", [320, 640])
def test_a_small_window_or_a_large_zoom_needs_no_scrolling_to_the_side(browser, console, width):
    """A window of 1280 pixels at 200 % is one of 640, at 400 % one of 320. Tables scroll by themselves."""
    context = browser.new_context(viewport={"width": width, "height": 700})
    page = context.new_page()
    for name, path in all_pages(console).items():
        page.goto(console.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
    page.goto(console.url + "/")
    page.screenshot(path=SCREENSHOTS / f"fleet-{width}.png")
    context.close()


def test_a_keyboard_reaches_everything_and_shows_where_it_is(browser, console):
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.url + "/")
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "Skip to the content" and focused.is_visible()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        tag = page.evaluate("document.activeElement.tagName")
        assert tag == "BODY" or outline == "solid", tag
        reached.add(tag)
    assert {"A", "INPUT", "SELECT", "BUTTON"} <= reached
    context.close()


def test_paper_has_the_table_and_not_the_form(browser, console):
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.url + "/")
    page.emulate_media(media="print")
    assert not page.locator("form").is_visible() and page.locator("table").is_visible()
    context.close()


def test_the_screenshots_are_there_to_be_looked_at():
    names = {path.stem for path in SCREENSHOTS.glob("*.png")}
    for name in ["fleet", "account", "ticks", "tick", "policies", "simulate"]:
        assert {f"{name}-light", f"{name}-dark"} <= names


def test_the_picture_of_the_readme_is_small():
    assert 10_000 < (ROOT / "host/console/fleet.png").stat().st_size < 200_000
