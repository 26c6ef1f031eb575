//! `staging-sync policy keygen`: a pair of keys to sign policies with.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{signing, source};
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The name of the key files: NAME.key (secret) and NAME.pub, in minisign's format.
    #[arg(long, value_name = "NAME", default_value = "policy")]
    out: PathBuf,
}

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    let password = source::password();
    let protected = password.is_some();
    let (secret, public) = signing::keys(password).map_err(CommandError)?;
    let path = |extension: &str| {
        let mut path = arguments.out.as_os_str().to_owned();
        path.push(extension);
        PathBuf::from(path)
    };
    let (secret_path, public_path) = (path(".key"), path(".pub"));
    write(&secret_path, &secret, 0o600)?;
    write(&public_path, &public, 0o644)?;
    let line = public.lines().last().unwrap_or_default();
    say!(
        "{}: wrote the secret key{}",
        secret_path.display(),
        match protected {
            true => ", protected by POLICY_KEY_PASSWORD",
            false => ", without a password (POLICY_KEY_PASSWORD sets one); keep it where only publishers have access",
        }
    );
    say!("{}: wrote the public key; hosts with this variable run only signed policies:", public_path.display());
    println!("POLICY_PUBLIC_KEY={line}");
    Ok(Exit::Success)
}

/// Writes a new file, because a lost key can't be recreated.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), CommandError> {
    let unable = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => CommandError(format!("{}: already exists, and wasn't overwritten", path.display())),
        _ => CommandError(format!("{}: {error}", path.display())),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(unable)?;
    file.write_all(text.as_bytes()).map_err(unable)
}
