#!/usr/bin/env bash
# Builds a policy in every language, and checks that they decide the demo's fleet exactly as the default policy does,
# and every case of `plugin/cases`, that they keep the invariants in small worlds, that they ask for no more rights, and
# that a new project's types are right, and find a misspelt field.
#
#   plugin/examples/test.sh STAGING_SYNC_BINARY POLICY_WASM
#
# JavaScript and Python are the examples here; Rust is what `staging-sync policy new` makes. ONLY=javascript checks one
# of them; what Rust needs beside it is built once for it and for the default policy. A language whose tools aren't
# there is skipped, unless CI is set. Where all is well, target/examples/tested is made. Exit code: 0 all the same, 1 one differs, 2 could not tell.
set -euo pipefail

say() { echo "examples/test.sh: $*" >&2; }
fail() {
    say "error: $*"
    exit 2
}

[[ $# == 2 ]] || {
    echo "usage: plugin/examples/test.sh STAGING_SYNC_BINARY POLICY_WASM" >&2
    exit 2
}
for file in "$@"; do [[ -f $file ]] || fail "there is no $file: 'make policy' builds both"; done
staging_sync=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
policy=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
built=$(cd "$here/../.." && pwd)/target/examples
mkdir -p "$built"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What the demo tells about a policy, without what differs from run to run: its file, the lab's port, the time.
demo() {
    "$staging_sync" demo --policy "$1" 2>"$work/log" >"$work/demo" || {
        cat "$work/log" >&2
        fail "the demo failed with $1"
    }
    sed -E '1,2d; s/^decided by .* with settings/decided with settings/; s/^(policy rejected: .* compile:).*/\1 <why>/; s/20[0-9]{2}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}Z/<now>/g; s/20[0-9]{6}T[0-9]{9}Z-[0-9a-f]{12}/<tick>/g; s/^(  policy: ) .*, settings/\1 <policy>, settings/' "$work/demo"
}

# The command that installs a language's tools, if they aren't there.
missing() {
    case $1 in
    javascript) command -v npm >/dev/null || echo "apt-get install nodejs npm" ;;
    python) python3 -c 'import venv, ensurepip' 2>/dev/null || echo "apt-get install python3-venv" ;;
    esac
}

# The project of a language. That in Rust is made anew; what was built of it is kept beside it.
project() {
    if [[ $1 != rust ]]; then
        echo "$here/$1"
        return
    fi
    rm -rf "$built/new-policy"
    "$staging_sync" policy new "$built/new-policy" 2>"$work/log" || {
        cat "$work/log" >&2
        return 1
    }
    echo "$built/new-policy"
}

unit_tests() {
    case $1 in
    rust) ;; # those of plugin/, which `cargo test` runs
    javascript) node "$here/cohorts.mjs" && (cd "$here/javascript" && npm test) ;;
    python)
        local tools=$here/python/target
        python3 "$here/cohorts.py" || return 1
        PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$tools/bindings \
            "$tools/bin/python" -m unittest discover --start-directory "$here/python/test"
        ;;
    esac >"$work/log" 2>&1
}

# Checks the types of a new project in a language, with the tools that its example was built with.
types() {
    local language=$1 new=$work/new-$1
    [[ $language != rust ]] || return 0 # building it did
    "$staging_sync" policy new "$new" --lang "$language" 2>"$work/log" || return 1
    ln -s "$here/$language/target" "$new/target"
    checked "$language" "$new" >"$work/log" 2>&1 || return 1
    # Of another length: within a second, mypy takes a file of the same for the one that it knows.
    sed -i 's/tick\.regions/tick.reegions/' "$new"/src/decide.*
    if checked "$language" "$new" >"$work/log" 2>&1; then
        echo "a misspelt field is not found"
        return 1
    fi >>"$work/log"
    grep -q reegions "$work/log"
}

checked() {
    case $1 in
    javascript) (cd "$2" && npm run check) ;;
    python)
        "$2/target/bin/pip" install --quiet --disable-pip-version-check --requirement "$2/requirements-dev.txt" &&
            (cd "$2" && target/bin/mypy)
        ;;
    esac
}

# An exception in a project ends in the account's error, with its message and where it was thrown.
exceptions() {
    local language=$1 new=$work/throws-$1
    mkdir "$new"
    (cd "$2" && tar -cf - --dereference --exclude ./target .) | tar -xf - -C "$new"
    case $language in
    rust) sed -i '/^pub fn reason/a if account.name.as_deref() == Some("DEMO_TARGET") { panic!("boom") }' "$new/src/skip.rs" ;;
    javascript) sed -i '/^export function reason/a if (account.name === "DEMO_TARGET") throw new Error("boom");' "$new/src/skip.js" ;;
    python)
        sed -i '/^    if account.is_current/i \    if account.name == "DEMO_TARGET":\n        raise ValueError("boom")' \
            "$new/src/skip.py"
        ;;
    esac
    [[ $language == rust ]] || ln -s "$here/$language/target" "$new/target"
    CARGO_TARGET_DIR=$built/.. "$staging_sync" policy build "$new" >"$work/log" 2>&1 || return 1
    "$staging_sync" replay "$here/../cases/seed-scenario" --policy "$new/policy.wasm" >"$work/log" 2>&1 || true
    grep -q '"accountsFailed": 1' "$work/log" &&
        grep '"error": "policy: trapped: ' "$work/log" | grep boom | grep -Eq 'skip\.(rs|js|py):[0-9]+'
}

demo "$policy" >"$work/default"
"$staging_sync" policy inspect --iam "$policy" >"$work/default.iam"
worst=0
skipped=${ONLY:-}
for language in ${ONLY:-rust javascript python}; do
    install=$(missing "$language")
    if [[ -n $install ]]; then
        [[ -z ${CI:-} ]] || fail "$language: its tools aren't there: '$install'"
        say "$language: SKIPPED, its tools aren't there: '$install'"
        skipped=$language
        continue
    fi
    component=$built/policy-$language.wasm
    folder=$(project "$language") || fail "could not begin a project in $language"
    CARGO_TARGET_DIR=$built/.. "$staging_sync" policy build "$folder" --out "$component" ||
        fail "could not build the $language policy"
    "$staging_sync" policy inspect "$component" >"$work/log" || {
        cat "$work/log" >&2
        say "$language: this host can't run it"
        worst=1
        continue
    }
    unit_tests "$language" || {
        cat "$work/log" >&2
        say "$language: its unit tests fail"
        worst=1
    }
    types "$language" || {
        cat "$work/log" >&2
        say "$language: its types are wrong"
        worst=1
    }
    exceptions "$language" "$folder" || {
        cat "$work/log" >&2
        say "$language: an exception isn't told"
        worst=1
    }
    "$staging_sync" policy inspect --iam "$component" >"$work/$language.iam"
    diff -u --label "$policy" --label "$component" "$work/default.iam" "$work/$language.iam" >&2 || {
        say "$language: asks for other rights than $policy"
        worst=1
    }
    for cases in "$here/../cases" "$folder/cases"; do
        [[ ! -d $cases ]] || "$staging_sync" test "$cases" --policy "$component" >"$work/log" || {
            cat "$work/log" >&2
            say "$language: decides cases differently"
            worst=1
        }
    done
    # The default policy is verified by the tests, in larger worlds; Python takes its time.
    "$staging_sync" policy verify -q "$component" --staging-accounts 1 --out "$work/broken" >"$work/log" || {
        cat "$work/log" >&2
        say "$language: breaks an invariant in a small world"
        worst=1
    }
    demo "$component" >"$work/$language"
    if diff -u --label "$policy" --label "$component" "$work/default" "$work/$language" >&2; then
        say "$language: same as $policy"
    else
        say "$language: DIFFERS from $policy (lines with -: $policy; with +: $component)"
        worst=1
    fi
done
[[ $worst != 0 || -n $skipped ]] || touch "$built/tested"
exit "$worst"
