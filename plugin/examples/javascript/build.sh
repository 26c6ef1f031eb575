#!/usr/bin/env bash
# Builds the policy in this folder as a WebAssembly component that imports nothing but the policy's WIT.
#
#   ./build.sh OUT_WASM
#
# Needs Node.js and npm. What it makes on the way is under target/. What happens is told on stderr.
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

if [[ -f $out && -z $(find -L src wit package-lock.json build.sh -newer "$out" -print -quit) ]]; then
    say "$out is up to date"
    exit
fi
command -v npm >/dev/null || fail "needs Node.js 18 or newer with npm: 'apt-get install nodejs npm'"
(($(node -p 'process.versions.node.split(".")[0]') >= 18)) ||
    fail "needs Node.js 18 or newer, and this is $(node --version): https://nodejs.org has newer ones"

# The copy of the lock file, made last, tells that all of it is installed.
tools=$PWD/target
if ! cmp -s package-lock.json "$tools/installed"; then
    say "installing componentize-qjs and TypeScript with npm"
    mkdir -p "$tools"
    cp package.json package-lock.json "$tools"
    npm ci --prefix "$tools" --no-audit --no-fund --loglevel=error >&2 || fail "npm could not install it"
    cp package-lock.json "$tools/installed"
fi

stage=$(mktemp -d "$tools/stage.XXXXXX")
trap 'rm -rf "$stage" "$out.tmp.$$"' EXIT
cp src/*.js "$stage"
node -e 'const text = fs.readFileSync(0, "utf8"); console.log(`export default ${JSON.stringify(text)};`)' \
    <src/settings.schema.json >"$stage/settings.schema.js"

# --stub-wasi: the import list is the permission list. --sync: the host calls a policy without async ABI.
wit=$PWD/wit
log=$(cd "$stage" && "$tools/node_modules/.bin/componentize-qjs" --stub-wasi --sync --opt-size \
    --wit "$wit" --world policy --module-root . --js policy.js --output "$out.tmp.$$" 2>&1) || fail "$log"
mv "$out.tmp.$$" "$out"
say "wrote $out ($(wc -c <"$out" | tr -d ' ') bytes)"
