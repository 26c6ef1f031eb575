"""Zips the Lambda's files, the same contents to the same bytes, after a look at whether Lambda can start them."""

import argparse
import hashlib
import re
import struct
import sys
import zipfile
from pathlib import Path

# `e_machine` of an ELF file.
MACHINES = {"x86_64": 62, "arm64": 183}
# Lambda's limit of an unzipped package.
LARGEST = 250 << 20


def unfit(binary: bytes, arch: str, glibc: str) -> str | None:
    """Why Lambda can't start the binary; None where it can."""
    if binary[:4] != b"\x7fELF" or struct.unpack_from("<H", binary, 18)[0] != MACHINES[arch]:
        return f"isn't a Linux binary for {arch}"
    if b"\0.symtab\0" in binary or b"\0.debug_info\0" in binary:
        return "isn't stripped"
    # The versions that it needs are texts in its dynamic string table.
    needed = {tuple(map(int, found.split(b"."))) for found in re.findall(rb"\0GLIBC_([0-9.]+)(?=\0)", binary)}
    newest = max(needed, default=(0,))
    if newest > tuple(map(int, glibc.split("."))):
        return (
            f"needs glibc {'.'.join(map(str, newest))}, and provided.al2023 has {glibc}: build it on a system with "
            f"glibc {glibc} or older (Amazon Linux 2023), or link it with --zig"
        )
    return None


def write(out: Path, files: dict[str, bytes]) -> None:
    """The zip: names in order, and no times, owners or modes of this machine."""
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as package:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix: what the modes are for
            entry.external_attr = (0o100755 if name == "bootstrap" else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, content)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", choices=MACHINES, required=True)
    parser.add_argument("--glibc", required=True, help="the newest C library that the binary may need")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("files", nargs="+", metavar="FILE=NAME")
    arguments = parser.parse_args()

    files = {}
    for argument in arguments.files:
        path, _, name = argument.rpartition("=")
        files[name] = Path(path).read_bytes()
    problem = unfit(files["bootstrap"], arguments.arch, arguments.glibc)
    if not problem and sum(map(len, files.values())) > LARGEST:
        problem = f"and the other files are larger than Lambda's {LARGEST >> 20} MiB"
    if problem:
        print(f"package.py: error: bootstrap {problem}", file=sys.stderr)
        return 1
    write(arguments.out, files)
    for name, content in sorted(files.items()):
        print(f"  {name:<12} {len(content):>10,} bytes", file=sys.stderr)
    package = arguments.out.read_bytes()
    print(f"{arguments.out}: {len(package):,} bytes, sha256 {hashlib.sha256(package).hexdigest()}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
