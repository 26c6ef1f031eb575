//! `staging-sync lab`: a fleet on loopback, for experiments with any AWS client.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use clap::Args;
use staging_sync_lab::{Error, Fleet, Lab};
use staging_sync_runtime::aws::sdk_api::{Endpoint, Patience, SdkApi};
use staging_sync_runtime::text;
use tokio::process::Command;

use crate::{CommandError, Exit};

/// The fleet of `staging-sync demo`, and the default of `staging-sync lab`.
const DEMO_FLEET: &str = include_str!("../../lab/fleets/demo.json");

#[derive(Args)]
#[command(after_help = "\
COMMAND gets the lab's environment, and none of the AWS variables and profiles of your shell. The lab ends when the command \
ends, and returns its exit code.")]
pub struct Arguments {
    /// The fleet, as a JSON file. Default: the fleet of the demo.
    #[arg(long, value_name = "FILE")]
    fleet: Option<PathBuf>,
    /// The port on 127.0.0.1, 0 to 65535. 0 selects a free port.
    #[arg(long, default_value_t = 4566, value_name = "PORT")]
    port: u16,
    /// Serve TLS with a certificate authority that is created for this lab. AWS_CA_BUNDLE names the file with its
    /// certificate.
    #[arg(long)]
    tls: bool,
    /// Also write the variables to this file, atomically, once the lab listens.
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Run this command against the lab, on a free port.
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let fleet = fleet(arguments.fleet.as_deref())?;
    let bucket = fleet.hub.bucket.clone();
    let port = if arguments.command.is_empty() { arguments.port } else { 0 };
    let lab = match arguments.tls {
        true => Lab::start_with_tls(fleet, port).await,
        false => Lab::start_on(fleet, port).await,
    };
    let lab = lab.map_err(|error| match error {
        Error::Bind { .. } => CommandError(format!("lab: {error}: select another port with --port")),
        error => CommandError(format!("lab: {error}")),
    })?;
    let bundle = lab.authority().map(Bundle::write).transpose()?;
    let mut exports = lab.env();
    exports.extend(bundle.as_ref().map(|Bundle(path)| ("AWS_CA_BUNDLE", path.display().to_string())));
    exports.rotate_right(usize::from(bundle.is_some()));
    let lines: String = exports.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    let lines = format!("{FORGET}{lines}");
    if let Some(path) = &arguments.env_file {
        text::write_whole(path, &lines).map_err(|error| CommandError(format!("lab: {}: {error}", path.display())))?;
    }
    if let [program, rest @ ..] = arguments.command.as_slice() {
        let exit = run_command(program, rest, &exports).await;
        lab.shutdown().await;
        return exit;
    }
    println!(
        "# DynamoDB, S3, STS and DRS at {}; bucket for policies: s3://{bucket}; to use the lab from another shell, run:",
        lab.url()
    );
    print!("{lines}");
    say!("serving until interrupted (Ctrl-C)");
    tokio::signal::ctrl_c().await.map_err(|error| CommandError(format!("lab: {error}")))?;
    lab.shutdown().await;
    Ok(Exit::Success)
}

/// Runs a command in the lab's environment, which has nothing of the shell's AWS one: what was meant for the lab mustn't
/// reach a real account.
async fn run_command(program: &OsStr, rest: &[OsString], exports: &[(&str, String)]) -> Result<Exit, CommandError> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"AWS_")) {
        command.env_remove(name);
    }
    // Profiles have endpoints and credentials as well.
    command.env("AWS_CONFIG_FILE", NO_FILE).env("AWS_SHARED_CREDENTIALS_FILE", NO_FILE);
    command.env("AWS_EC2_METADATA_DISABLED", "true").envs(exports.iter().map(|(name, value)| (*name, value)));
    let ended = command.args(rest).status().await;
    let ended = ended.map_err(|error| CommandError(format!("lab: {}: {error}", program.display())))?;
    let code = ended.code().or_else(|| Some(128 + ended.signal()?)); // as shells have it
    Ok(Exit::Of(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
}

/// What a shell forgets before it uses the lab: its AWS variables and profiles, as `run_command` does.
const FORGET: &str = "\
for name in $(env | sed -n 's/^\\(AWS_[A-Z0-9_]*\\)=.*/\\1/p'); do unset \"$name\"; done
export AWS_CONFIG_FILE=/dev/null
export AWS_SHARED_CREDENTIALS_FILE=/dev/null
export AWS_EC2_METADATA_DISABLED=true
";

/// A file that is there and says nothing.
const NO_FILE: &str = "/dev/null";

/// The file with the certificate of a lab's authority, for as long as the lab runs.
struct Bundle(PathBuf);

impl Bundle {
    fn write(authority: &str) -> Result<Self, CommandError> {
        let path = std::env::temp_dir().join(format!("staging-sync-lab-{}.pem", std::process::id()));
        // A file of somebody else's by this name isn't written to.
        let file = File::create_new(&path).and_then(|mut file| file.write_all(authority.as_bytes()));
        file.map_err(|error| CommandError(format!("lab: {}: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0); // it's of no use to anybody, and no secret
    }
}

/// Reads a fleet's file.
pub fn fleet(path: Option<&Path>) -> Result<Fleet, CommandError> {
    let (name, text) = match path {
        None => ("the demo's fleet".into(), DEMO_FLEET.to_owned()),
        Some(path) => {
            let name = path.display().to_string();
            let text = text::read(path).map_err(|error| CommandError(format!("fleet {name}: {error}")))?;
            (name, text)
        }
    };
    Fleet::from_json(&text).map_err(|error| CommandError(format!("{name}: {error}")))
}

/// The way to a running lab, whatever the process's own environment says.
pub fn live(lab: &Lab, max_concurrency: usize, patience: Patience) -> SdkApi {
    SdkApi::at(endpoint(lab), max_concurrency, patience)
}

/// Where a running lab is, and the hub's credentials.
pub fn endpoint(lab: &Lab) -> Endpoint {
    let env = lab.env();
    let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let credentials = aws_credential_types::Credentials::new(
        get("AWS_ACCESS_KEY_ID"),
        get("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "lab",
    );
    Endpoint { url: lab.url(), region: get("AWS_REGION"), credentials }
}
