#!/usr/bin/env bash
# Checks the templates, the scripts and that they fit the program. Arguments go to pytest.
#
# The tools are installed once, in target/cfn-venv and target/asl-validator. Without Python the checks are skipped, and
# without npm the one that needs it, unless CI is set.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { echo "cfn/tests/run.sh: $*" >&2; }

readonly venv=target/cfn-venv requirements=cfn/tests/requirements.txt
if ! python3 -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    say "SKIPPED: Python 3.11 with venv isn't there: 'apt-get install python3-venv'"
    [[ -z ${CI:-} ]] || exit 1
    exit 0
fi
# The emulator alone: what it builds functions with is ten times as large, and isn't needed.
readonly emulator=cargo-lambda==1.9.2
if ! cat "$requirements" <(echo "$emulator") | cmp -s - "$venv/installed"; then
    say "installing the tools in $venv (a minute or two, the first time)"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --no-deps "$emulator"
    cat "$requirements" <(echo "$emulator") >"$venv/installed"
fi
readonly validator=target/asl-validator lock=cfn/tests/asl-validator/package-lock.json
if ! command -v npm >/dev/null; then
    say "SKIPPED: the state machine's definition isn't validated, npm isn't there: 'apt-get install npm'"
    [[ -z ${CI:-} ]] || exit 1
elif ! cmp -s "$lock" "$validator/installed"; then
    rm -rf "$validator"
    mkdir -p "$validator"
    cp cfn/tests/asl-validator/package*.json "$validator"
    npm ci --prefix "$validator" --ignore-scripts --no-audit --no-fund --silent
    cp "$lock" "$validator/installed"
fi
PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/pytest" -q -p no:cacheprovider \
    -W 'ignore:Tried to parse' cfn/tests "$@" # moto says of each kind of resource that it doesn't make it
