//! What isn't a policy at all: a message that says what it is, exit code 2, and nothing on stdout.

use std::fs;

use crate::support::{default_policy, folder, staging_sync};

#[test]
fn what_is_no_webassembly_is_said_and_never_a_panic() {
    let folder = folder("bad-input");
    let component = default_policy("policy.wasm");
    let module = default_policy("policy.core.wasm");
    let mut flipped = component.clone();
    flipped[8] = 0xff; // the first section's id
    let noise: Vec<u8> = (0..4096_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let cases: [(&str, &[u8], &str); 8] = [
        ("empty", b"", "is empty"),
        ("text", b"def sync(): pass\n", "isn't WebAssembly"),
        ("noise", &noise, "isn't WebAssembly"),
        ("short", &component[..6], "isn't WebAssembly"),
        ("header", b"\0asm\x02\0\0\0", "WebAssembly of a version that this host doesn't know"),
        ("truncated", &component[..component.len() / 2], "isn't a WebAssembly component that can be compiled"),
        ("flipped", &flipped, "isn't a WebAssembly component that can be compiled"),
        ("truncated-module", &module[..module.len() / 2], "isn't a core module that can be encoded as a component"),
    ];
    for (name, bytes, says) in cases {
        fs::write(folder.join(name), bytes).expect("a file");
        for option in ["--json", "--iam"] {
            let (code, stdout, stderr) = staging_sync(&folder, &["policy", "inspect", name, option]);
            assert_eq!((code, stdout.as_str()), (2, ""), "{name}: {stderr}");
            assert!(stderr.starts_with(&format!("staging-sync: {name}: ")) && stderr.contains(says), "{stderr}");
        }
        let (code, stdout, stderr) = staging_sync(&folder, &["policy", "encode", name]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{name}: {stderr}");
        assert!(
            stderr.starts_with(&format!(
                "staging-sync: {name}: isn't a core module that can be encoded as a component: "
            )),
            "{stderr}"
        );
    }
}

#[test]
fn what_is_not_there_or_a_folder_is_said() {
    let folder = folder("no-file");
    for command in ["inspect", "encode", "measure"] {
        let (code, stdout, stderr) = staging_sync(&folder, &["policy", command, "nowhere.wasm"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.starts_with("staging-sync: nowhere.wasm: No such file"), "{stderr}");
        let (code, _, stderr) = staging_sync(&folder, &["policy", command, "."]);
        assert_eq!(code, 2, "{stderr}");
        assert!(stderr.starts_with("staging-sync: .: is a directory; expected a .wasm file"), "{stderr}");
    }
}
