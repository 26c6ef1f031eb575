//! A cache of compiled policies: beside the program, if the package has one, and in a private directory.
//!
//! A file is the SHA-256 of the policy, that of the compiled code, the proof that it was put to (`proof::id`; zeros where it
//! wasn't), and the code. Whatever isn't as it should be is passed over: then the policy is compiled, and proven.

use std::fs::{self, DirBuilder};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// What a file begins with; another format gets another line.
const MAGIC: &[u8] = b"staging-sync compiled policy 2\n";

/// No proof.
const UNPROVEN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// How many compiled policies are kept: one in Python takes 50 MB, and Lambda's folder holds 512 MB.
const KEPT: usize = 4;

/// The locations of compiled policies.
#[derive(Debug, Clone)]
pub struct Cache {
    packaged: Option<PathBuf>,
    folder: Option<PathBuf>,
}

impl Cache {
    /// The file beside this program's packaged policy, and a folder of this user's own among the temporary ones.
    pub fn standard(packaged_policy: &Path) -> Self {
        Self::of(packaged_policy, &std::env::temp_dir())
    }

    /// The file beside a packaged policy, and a folder in this one.
    pub fn of(packaged_policy: &Path, parent: &Path) -> Self {
        Self { packaged: Some(packaged_policy.with_extension("cwasm")), ..Self::at(parent) }
    }

    /// Only the folder of this user's own.
    pub fn own() -> Self {
        Self::at(&std::env::temp_dir())
    }

    /// None at all.
    pub fn none() -> Self {
        Self { packaged: None, folder: None }
    }

    /// Only a folder in this one.
    pub fn at(parent: &Path) -> Self {
        Self { packaged: None, folder: own_folder(parent) }
    }

    /// The compiled policy of this SHA-256, if there's one that this engine can run.
    pub(super) fn find(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let kept = self.file(engine, digest);
        self.packaged.iter().chain(&kept).find_map(|path| {
            let file = fs::read(path).ok()?;
            let code = unpack(&file, digest)?;
            // SAFETY: `deserialize` runs what is in the file as machine code, so the file must be wasmtime's own
            // work. Both places hold only such files. The packaged one is written when the package is built, and
            // whoever can change it can change the program beside it. The folder belongs to this user and nobody
            // else may write there (`own_folder` sees to both, each time), and this host writes there nothing but
            // what wasmtime compiled; another process of the same user could as well change this one's memory.
            // The SHA-256 in the file guards against accidents, like a full disk. Wasmtime itself refuses code of
            // another version, of other settings, or for another processor.
            unsafe { Component::deserialize(engine, code) }.ok()
        })
    }

    /// Whether the package vouches for it that the policy of this SHA-256 came through this proof when the package was made.
    pub fn vouches(&self, digest: &str, proof: &str) -> bool {
        let expected = [MAGIC, digest.as_bytes()].concat();
        let mut head = vec![0; expected.len() + 2 * UNPROVEN.len()];
        let read =
            self.packaged.as_ref().map(|path| fs::File::open(path).and_then(|mut file| file.read_exact(&mut head)));
        matches!(read, Some(Ok(()))) && head.starts_with(&expected) && head.ends_with(proof.as_bytes())
    }

    /// Keeps a compiled policy. It's only a cache, so a full disk is no error.
    pub(super) fn keep(&self, engine: &Engine, digest: &str, component: &Component) {
        let (Some(path), Ok(code)) = (self.file(engine, digest), component.serialize()) else { return };
        let write = || -> Option<()> {
            let folder = path.parent()?;
            let part = folder.join(format!(".{}.part", std::process::id()));
            let mut file = fs::File::create(&part).ok()?;
            let written = file.write_all(&pack(&code, digest, UNPROVEN)).and_then(|()| fs::rename(&part, &path));
            if written.is_err() {
                let _ = fs::remove_file(&part);
            }
            thin_out(folder)
        };
        let _ = write();
    }

    /// The file of a policy in the folder, if the folder can be trusted now.
    fn file(&self, engine: &Engine, digest: &str) -> Option<PathBuf> {
        let folder = self.folder.as_ref().filter(|folder| is_own(folder))?;
        let mut hash = Compatibility(Sha256::new());
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hash);
        Some(folder.join(format!("{digest}-{:016x}.cwasm", std::hash::Hasher::finish(&hash))))
    }
}

/// A component, compiled for a package that runs on any processor of this architecture: the file's content. It vouches for
/// the proof (`proof::id`) that the policy came through, if there is one.
pub fn precompile(component: &[u8], target: &str, proof: Option<&str>) -> Result<Vec<u8>, String> {
    let failed = |error: wasmtime::Error| format!("can't be compiled for {target}: {error:#}");
    let engine = super::limits::engine_for(target).map_err(failed)?;
    let digest = super::sha256(component);
    let encoded = super::encode::component_of(component)?;
    super::contract::is_component(&encoded)?;
    Ok(pack(&engine.precompile_component(&encoded).map_err(failed)?, &digest, proof.unwrap_or(UNPROVEN)))
}

fn pack(code: &[u8], digest: &str, proof: &str) -> Vec<u8> {
    [MAGIC, digest.as_bytes(), super::sha256(code).as_bytes(), proof.as_bytes(), code].concat()
}

/// The code, if the file is whole and of this policy.
fn unpack<'a>(file: &'a [u8], digest: &str) -> Option<&'a [u8]> {
    let (of, rest) = file.strip_prefix(MAGIC)?.split_at_checked(64)?;
    let (sum, rest) = rest.split_at_checked(64)?;
    let (_, code) = rest.split_at_checked(UNPROVEN.len())?;
    (of == digest.as_bytes() && sum == super::sha256(code).as_bytes()).then_some(code)
}

/// A folder that this user alone can write to, made if it isn't there.
fn own_folder(parent: &Path) -> Option<PathBuf> {
    let folder = parent.join(format!("staging-sync-{}", effective_user()?));
    let _ = DirBuilder::new().mode(0o700).create(&folder); // is_own tells what's there
    is_own(&folder).then_some(folder)
}

fn is_own(folder: &Path) -> bool {
    fs::symlink_metadata(folder).is_ok_and(|found| {
        found.is_dir() && Some(found.uid()) == effective_user() && found.permissions().mode() & 0o077 == 0
    })
}

/// The user that files of this process belong to.
fn effective_user() -> Option<u32> {
    Some(fs::metadata("/proc/self").ok()?.uid())
}

/// Leaves the newest files.
fn thin_out(folder: &Path) -> Option<()> {
    let time = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).ok()?.filter_map(|file| Some(file.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "cwasm"));
    files.sort_by_key(|path| std::cmp::Reverse(time(path)));
    for old in files.iter().skip(KEPT) {
        let _ = fs::remove_file(old);
    }
    Some(())
}

/// Rust's hashes of files' names must not change from one process to the next, as the standard hasher's may.
struct Compatibility(Sha256);

impl std::hash::Hasher for Compatibility {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let digest = self.0.clone().finalize();
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}
