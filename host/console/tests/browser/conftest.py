"""The demo's fleet, ticked over with a journal, its console, and a browser that looks at it."""

import json
import os
import pathlib
import shutil
import subprocess
import time
import urllib.request

import pytest
from playwright.sync_api import sync_playwright

ROOT = pathlib.Path(__file__).resolve().parents[4]
PROGRAM = ROOT / os.environ.get("STAGING_SYNC", "target/debug/staging-sync")
POLICY = ROOT / "target/policy.wasm"
SCREENSHOTS = ROOT / "target/console"

# An account of the demo that its first tick changes, and one that isn't an account id to search for.
CHANGED = "111122223333"

# How long a test waits for what never comes, in seconds.
BOUND = 120


class World:
    """A lab with the demo's fleet, a journal and a manifest in folders, and commands against them."""

    def __init__(self, folder, variables):
        self.journal = folder / "journal"
        self.manifest = folder / "policies" / "policy.json"
        self.manifest.parent.mkdir()
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            **variables,
            "JOURNAL": str(self.journal),
            "POLICY": str(self.manifest),
        }

    def run(self, *arguments, code=0):
        """Runs a command and returns what it printed."""
        ran = subprocess.run(
            [PROGRAM, *map(str, arguments)], env=self.variables, capture_output=True, text=True, timeout=BOUND, check=False
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    def publish(self, *options):
        return self.run("policy", "publish", POLICY, "--to", self.manifest, *options)

    def tick(self):
        return json.loads(self.run("tick", "--event", '{"operation": "sync_staging_accounts"}', code=1))


class Console:
    """A running console."""

    def __init__(self, process, url, world):
        self.process, self.url, self.world = process, url.rstrip("/"), world

    def get(self, path):
        """The JSON of a path."""
        with urllib.request.urlopen(self.url + path, timeout=BOUND) as answer:
            return json.load(answer)


def variables_of(path):
    """The variables that a lab wrote for shells, once it did."""
    until = time.monotonic() + BOUND
    while not path.exists():
        assert time.monotonic() < until, "the lab didn't start"
        time.sleep(0.05)
    lines = path.read_text().splitlines()
    return dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    file = folder / "lab.env"
    lab = subprocess.Popen(
        [PROGRAM, "lab", "--port", "0", "--env-file", file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        world = World(folder, variables_of(file))
        world.publish()
        world.tick()
        yield world
    finally:
        lab.kill()
        lab.wait()


@pytest.fixture(scope="session")
def console(world):
    process = subprocess.Popen(
        [PROGRAM, "console", "--listen", "127.0.0.1:0"], env=world.variables, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Console(process, process.stdout.readline().strip(), world)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def browser():
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    with sync_playwright() as playwright:
        # Without its sandbox where there's no other user to be; what is looked at is ours.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=os.environ["BROWSER"], args=arguments)
        yield browser
        browser.close()


class Looking:
    """A page, and what must not happen on it."""

    def __init__(self, browser, console, **options):
        self.context = browser.new_context(viewport={"width": 1280, "height": 800}, **options)
        self.page = self.context.new_page()
        self.console = console
        self.told, self.elsewhere = [], []
        self.page.on("console", lambda message: self.told.append(message.text))
        self.page.on("pageerror", lambda error: self.told.append(str(error)))
        self.page.on("request", self.noted)

    def noted(self, request):
        if not request.url.startswith(self.console.url + "/"):
            self.elsewhere.append(request.url)

    def goto(self, path):
        answer = self.page.goto(self.console.url + path)
        assert answer.status == 200, f"{path}: {answer.status}"
        return self.page

    def shot(self, name):
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


@pytest.fixture
def looking(browser, console):
    """A page without script: everything has to work without."""
    looking = Looking(browser, console, java_script_enabled=False)
    yield looking
    looking.context.close()
    assert looking.told == [], "the browser's console"
    assert looking.elsewhere == [], "requests off the machine"


@pytest.fixture(params=["light", "dark"])
def coloured(request, browser, console):
    """A page in light or dark, with script for those who test it."""
    looking = Looking(browser, console, color_scheme=request.param)
    looking.scheme = request.param
    yield looking
    looking.context.close()
    assert (looking.told, looking.elsewhere) == ([], [])
