#!/usr/bin/env bash
# Builds a policy crate as a core WebAssembly module.
#
#   plugin/build.sh CRATE_DIR OUT_CORE_WASM
#
# POLICY_PROFILE is the cargo profile (default: release). What happens is told on stderr.
set -euo pipefail

readonly TARGET=wasm32-unknown-unknown
readonly PACKAGES=(rustc-web cargo-web rust-web-src)
readonly PROFILE=${POLICY_PROFILE:-release}

say() { echo "build.sh: $*" >&2; }
fail() {
    say "error: $*"
    exit 1
}

# Debian's toolchain, without what rustup's or an outer cargo left in the environment.
debian() {
    env -u RUSTUP_TOOLCHAIN -u LD_LIBRARY_PATH -u CARGO PATH="/usr/bin:$PATH" \
        RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 "$@"
}

any_cargo() {
    if cargo --version >/dev/null 2>&1; then cargo "$@"; else debian /usr/bin/cargo "$@"; fi
}

# The value of a top-level text field in what `cargo metadata` says about the crate.
metadata() {
    any_cargo metadata --no-deps --format-version 1 | sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'
}

# Whether the active toolchain has the target's standard library.
target_installed() {
    [[ -n $sysroot && -d $sysroot/lib/rustlib/$TARGET/lib ]]
}

# Asks rustup for the target. A refusal is remembered, so that the next build doesn't wait for it.
add_target() {
    command -v rustup >/dev/null || return 1
    if [[ -f $refused && $(<"$refused") == "$sysroot" ]] && debian_ready; then
        say "rustup could not get $TARGET before (delete $refused to try again)"
        return 1
    fi
    say "$TARGET is not installed: trying 'rustup target add $TARGET'"
    local limit=()
    command -v timeout >/dev/null && limit=(timeout 60)
    if ${limit[@]+"${limit[@]}"} rustup target add "$TARGET" >/dev/null 2>&1 && target_installed; then
        return 0
    fi
    say "rustup cannot get it here"
    mkdir -p "$target_dir" && echo "$sysroot" >"$refused"
    return 1
}

# Whether Debian's toolchain is there with its own standard library's source, and can read the crate.
debian_ready() {
    [[ -x /usr/bin/rustc && -x /usr/bin/cargo ]] || return 1
    local source
    source=$(debian /usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library
    [[ -d $source/std ]] &&
        debian /usr/bin/cargo metadata --no-deps --format-version 1 >/dev/null 2>&1
}

as_root() {
    if [[ $EUID == 0 ]]; then "$@"; else sudo "$@"; fi
}

install_debian() {
    command -v apt-get >/dev/null || return 1
    [[ $EUID == 0 ]] || command -v sudo >/dev/null || return 1
    say "installing ${PACKAGES[*]} with apt-get: a Rust that can build its standard library for $TARGET"
    as_root apt-get update -q >&2 || say "apt-get update failed; going on with the lists at hand"
    # --no-remove: another Rust from Debian's packages is the owner's business.
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends --no-remove "${PACKAGES[@]}" >&2
}

# A linker for WebAssembly; Debian's rustc brings none.
find_linker() {
    local candidate
    for candidate in "$sysroot"/lib/rustlib/*/bin/rust-lld \
        "${RUSTUP_HOME:-${HOME:-}/.rustup}"/toolchains/*/lib/rustlib/*/bin/rust-lld \
        "$(command -v rust-lld)" "$(command -v wasm-ld)" /usr/bin/wasm-ld-* \
        /usr/lib/llvm-*/bin/wasm-ld "$(command -v lld)"; do
        if [[ -x $candidate ]]; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Runs the build by the `cargo rustc` given, and prints the path of the module.
build() {
    local messages
    messages=$("$@" --lib --crate-type cdylib --profile "$PROFILE" --target "$TARGET" \
        --target-dir "$target_dir" --message-format json-render-diagnostics) || return
    sed -n 's/.*"reason":"compiler-artifact".*"filenames":\[[^]]*"\([^"]*\.wasm\)".*/\1/p' \
        <<<"$messages" | tail -n 1
}

# Makes Debian's toolchain ready to use, with a linker.
prepare_debian() {
    local linker
    debian_ready || { install_debian && debian_ready; } ||
        fail "no toolchain for $TARGET. Tried: the active toolchain, rustup, Debian's ${PACKAGES[*]}." \
            "Run 'rustup target add $TARGET' where the internet is open," \
            "or 'apt-get install ${PACKAGES[*]}' as root on Debian 12."
    linker=$(find_linker) ||
        fail "no linker for WebAssembly: install one with 'apt-get install lld', or Rust with rustup"
    say "building with Debian's $(debian /usr/bin/rustc --version), its standard library included"
    say "linking with $linker"
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
}

[[ $# == 2 ]] || {
    echo "usage: plugin/build.sh CRATE_DIR OUT_CORE_WASM" >&2
    exit 2
}
[[ -f $1/Cargo.toml ]] || fail "there is no Cargo.toml in $1: the first argument is the folder of a policy crate"
mkdir -p "$(dirname "$2")"
out=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
cd "$1" # rustup and cargo look for their settings from here

# What an outer cargo or make set is meant for its own build. Where it builds is respected.
for name in $(compgen -e); do
    case $name in
    CARGO_BUILD_TARGET_DIR) ;;
    CARGO_BUILD_* | CARGO_ENCODED_RUSTFLAGS | CARGO_TARGET_WASM32_* | CARGO_MAKEFLAGS) unset "$name" ;;
    RUSTFLAGS | RUSTC | RUSTC_WRAPPER | RUSTC_WORKSPACE_WRAPPER | MAKEFLAGS | MFLAGS) unset "$name" ;;
    esac
done

sysroot=$(rustc --print sysroot 2>/dev/null) || sysroot=
any_cargo --version >/dev/null 2>&1 || install_debian ||
    fail "there is no cargo: install Rust, for instance with https://rustup.rs"
target_dir=$(metadata target_directory) || fail "cargo cannot read $PWD/Cargo.toml"
target_dir+=/policy
refused=$target_dir/rustup-refused

if target_installed || add_target; then
    say "building with the active $(rustc --version), which has $TARGET"
    cargo=(cargo rustc)
    hint=
else
    prepare_debian
    cargo=(debian /usr/bin/cargo "-Zbuild-std=std,panic_abort" rustc)
    # The lock file belongs to the other toolchain.
    [[ ! -f $(metadata workspace_root)/Cargo.lock ]] || cargo+=(--locked)
    hint=" ('cargo update --workspace' brings a lock file up to date)"
fi
module=$(build "${cargo[@]}") || fail "the build failed; its messages are above$hint"
[[ -f $module ]] || fail "cargo built no WebAssembly module: the crate needs a library ([lib])"

trap 'rm -f "$out.tmp.$$"' EXIT
cp "$module" "$out.tmp.$$"
mv "$out.tmp.$$" "$out"
say "wrote $out ($(wc -c <"$out" | tr -d ' ') bytes)"
