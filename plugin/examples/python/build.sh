#!/usr/bin/env bash
# Builds the policy in this folder as a WebAssembly component that imports nothing but the policy's WIT.
#
#   ./build.sh OUT_WASM
#
# Needs Python with venv. What it makes on the way is under target/. What happens is told on stderr.
set -euo pipefail

say() { echo "build.sh: $*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

[[ $# == 1 ]] || {
    echo "usage: $0 OUT_WASM" >&2
    exit 2
}
mkdir -p "$(dirname "$1")"
out=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
cd "$(dirname "${BASH_SOURCE[0]}")"
tools=$PWD/target

if [[ -f $out && -d $tools/bindings &&
    -z $(find -L src wit requirements.txt build.sh -name __pycache__ -prune -o -newer "$out" -print -quit) ]]; then
    say "$out is up to date"
    exit
fi

# The copy of the requirements, made last, tells that all of them are installed.
if ! cmp -s requirements.txt "$tools/installed"; then
    python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))' 2>/dev/null ||
        fail "needs Python 3.10 or newer with venv: 'apt-get install python3-venv'"
    say "installing componentize-py with pip"
    python3 -m venv --clear "$tools" >&2
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt >&2 ||
        fail "pip could not install it"
    cp requirements.txt "$tools/installed"
fi

stage=$(mktemp -d "$tools/stage.XXXXXX")
trap 'rm -rf "$stage" "$out.tmp.$$"' EXIT
cp src/*.py src/settings.schema.json "$stage"

# For editors and for the unit tests of what uses the bindings.
rm -rf "$tools/bindings"
"$tools/bin/componentize-py" --quiet --wit-path wit --world policy bindings "$tools/bindings" >&2

# --stub-wasi: the import list is the permission list.
wit=$PWD/wit
log=$(cd "$stage" && "$tools/bin/componentize-py" --wit-path "$wit" --world policy \
    componentize --stub-wasi --python-path . --output "$out.tmp.$$" policy 2>&1) || fail "$log"
mv "$out.tmp.$$" "$out"
say "wrote $out ($(wc -c <"$out" | tr -d ' ') bytes)"
