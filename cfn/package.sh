#!/usr/bin/env bash
# Makes the Lambda's package, target/package/staging-sync-ARCH.zip: the release `bootstrap`, stripped, and the policy.
#
#   cfn/package.sh [--arch x86_64|arm64] [--zig] POLICY_WASM
#
# The same sources and toolchain give the same bytes, whatever folder they are built in. --zig links by cargo-zigbuild
# for the C library of provided.al2023: for systems whose own is newer, and for the other architecture. The package's
# path is told on stdout, its size and digest on stderr. Exit code: 0 made, 1 it can't be, 2 bad arguments.
set -euo pipefail

# The C library of provided.al2023. A binary that needs a newer one doesn't start there.
readonly GLIBC=2.34

say() { echo "package.sh: $*" >&2; }
fail() {
    say "error: $*"
    exit 1
}
usage() {
    echo "usage: cfn/package.sh [--arch x86_64|arm64] [--zig] POLICY_WASM" >&2
    exit 2
}

arch=x86_64
build=(cargo build)
while [[ ${1:-} == --* ]]; do
    case $1 in
    --arch) arch=${2:-} && shift ;;
    --zig) build=(cargo zigbuild) ;;
    *) usage ;;
    esac
    shift
done
[[ $# == 1 ]] || usage
case $arch in
x86_64) rust=x86_64-unknown-linux-gnu ;;
arm64) rust=aarch64-unknown-linux-gnu ;;
*) usage ;;
esac
[[ -f $1 ]] || fail "there is no policy $1: 'make policy' builds the default one"
policy=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
staging_sync=${STAGING_SYNC:-target/debug/staging-sync} # `make package` has built it, and says where

cd "$(dirname "${BASH_SOURCE[0]}")/.."
for tool in cargo rustc python3; do
    command -v "$tool" >/dev/null || fail "there is no $tool on the PATH"
done
[[ -d $(rustc --print sysroot)/lib/rustlib/$rust/lib ]] ||
    fail "Rust's target $rust is not installed, so there is no package for $arch: 'rustup target add $rust'" \
        "where the internet is open, or build on a machine of that architecture"
if [[ ${build[1]} == zigbuild ]]; then
    command -v cargo-zigbuild >/dev/null ||
        fail "there is no cargo-zigbuild: 'pip install cargo-zigbuild', which brings zig"
    target=$rust.$GLIBC
else
    [[ $rust == "$(rustc -vV | sed -n 's/^host: //p')" ]] ||
        fail "this machine is not $arch: its C compiler can't link for it; try --zig"
    target=$rust
fi

# Paths of this machine would get into panic messages, and with them into the digest.
separator=$'\x1f'
remaps=("$PWD=/staging-sync" "${CARGO_HOME:-$HOME/.cargo}=/cargo" "$(rustc --print sysroot)=/rust")
CARGO_ENCODED_RUSTFLAGS=
for remap in "${remaps[@]}"; do
    CARGO_ENCODED_RUSTFLAGS+=${CARGO_ENCODED_RUSTFLAGS:+$separator}--remap-path-prefix=$remap
done
export CARGO_ENCODED_RUSTFLAGS
export SOURCE_DATE_EPOCH=315532800 # 1980: C compilers put it where mimalloc has the time of its build
say "building bootstrap for $target (10 minutes on 2 cores, the first time)"
"${build[@]}" --locked --quiet --release --target "$target" -p staging-sync-lambda --bin bootstrap \
    --target-dir target >&2 || fail "the build failed; its messages are above"

mkdir -p target/package
# Compiled here for any processor of the architecture, so that a cold start has nothing to compile.
"$staging_sync" policy precompile "$policy" --target "${rust%%-*}" --out target/package/policy.cwasm ||
    fail "the policy could not be compiled; the message is above"
package=target/package/staging-sync-$arch.zip
# What the package holds: a file and its name in it.
files=(
    "target/$rust/release/bootstrap=bootstrap"
    "$policy=policy.wasm"
    "target/package/policy.cwasm=policy.cwasm"
)
python3 cfn/package.py --arch "$arch" --glibc "$GLIBC" --out "$package" "${files[@]}" >&2
echo "$package"
