#!/usr/bin/env bash
# Looks at the console in a real browser. Arguments go to pytest. Screenshots of all pages are in target/console/.
#
# The tools are installed once, in target/console-venv and target/axe; the browser is the system's, and with root on Debian it's
# installed as well. What isn't there is told, and the tests are skipped, unless CI is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../../.."

say() { echo "host/console/tests/browser/run.sh: $*" >&2; }

skip() {
    say "SKIPPED: $*"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
}

readonly here=host/console/tests/browser venv=target/console-venv axe=target/axe
python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    skip "Python 3.11 with venv isn't there: 'apt-get install python3-venv'"
command -v npm >/dev/null || skip "npm isn't there: 'apt-get install npm'"

browser() { command -v chromium || command -v chromium-browser || command -v google-chrome; }
if ! browser >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
    say "installing chromium (a minute or two, once)"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium \
        fonts-dejavu-core; } >/dev/null 2>&1 || say "apt-get couldn't install it"
fi
BROWSER=$(browser) || skip "no browser is there: 'apt-get install chromium'"
export BROWSER

if ! cmp -s "$here/requirements.txt" "$venv/installed"; then
    say "installing the tools in $venv (a minute, the first time)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/installed"
fi
if ! cmp -s "$here/axe/package-lock.json" "$axe/installed"; then
    rm -rf "$axe"
    mkdir -p "$axe"
    cp "$here"/axe/package*.json "$axe"
    npm ci --prefix "$axe" --ignore-scripts --no-audit --no-fund --silent
    cp "$here/axe/package-lock.json" "$axe/installed"
fi
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/pytest" -q -p no:cacheprovider "$here" "$@"
