//! What the tests share: the binary, a folder to work in, and the default policy.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a command came to: exit code, stdout, stderr.
pub type Done = (i32, String, String);

/// Runs the binary in a folder.
pub fn staging_sync(folder: &Path, arguments: &[&str]) -> Done {
    let output = Command::new(env!("CARGO_BIN_EXE_staging-sync"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("an exit code, not a signal"), text(output.stdout), text(output.stderr))
}

/// An empty folder that only this test uses.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("policy").join(name);
    let _ = fs::remove_dir_all(&folder); // it may not be there
    fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A file of this repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The default policy: the component, or the core module that it's made of.
pub fn default_policy(file: &str) -> Vec<u8> {
    fs::read(repository("target").join(file)).expect("the default policy: run `make policy` first")
}
