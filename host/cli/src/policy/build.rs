//! `staging-sync policy build`: makes a component of a policy project, whatever its language.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::Args;
use staging_sync_workbench::waived;

use super::encode;
use super::language::Language;
use super::wit::Wit;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The project's folder, as `staging-sync policy new` makes it.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// Where the component goes; by default `policy.wasm` in the project's folder.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How a Rust project becomes a core module, with whichever toolchain is there.
const RUST: &str = include_str!("../../../../plugin/build.sh");

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    let folder = &arguments.folder;
    let unable = |what: String| CommandError(format!("{}: {what}", folder.display()));
    if !folder.is_dir() {
        return Err(unable("there is no such folder".into()));
    }
    let out = arguments.out.clone().unwrap_or_else(|| folder.join("policy.wasm"));
    // Which invariants don't apply to the policy goes with it.
    let invariants = Some(folder.join(waived::FILE)).filter(|file| file.exists());
    match Language::of(folder) {
        Some(Language::Rust) => {
            // The script is an argument, not stdin, which the tools that it runs could read.
            let core = out.with_extension("core.wasm");
            bash(Command::new("bash").args(["-c", RUST, "build.sh"]).arg(folder).arg(&core)).map_err(unable)?;
            let encoded = encode::encode(&core, &out, invariants.as_deref());
            let _ = std::fs::remove_file(&core); // a leftover does no harm
            encoded
        }
        Some(language @ (Language::Javascript | Language::Python)) => {
            let script = folder.join("build.sh");
            if !script.is_file() {
                return Err(unable("it has no build.sh, by which such a policy is built".into()));
            }
            // The toolchain says itself what is wrong with a WIT package; here it's read for what is told beside.
            let wit = Wit::of(folder).ok();
            if let Some(wit) = &wit
                && wit.refresh_types(folder).map_err(unable)?
            {
                say!("{}: types/ made anew, as wit/ has changed", folder.display());
            }
            bash(Command::new("bash").arg(script).arg(&out)).map_err(unable)?;
            for (name, actions) in wit.iter().flat_map(|wit| wit.unused(folder, language)) {
                say!(
                    "{}: imports {name}, which no file in src/ names: comment it out in wit/, or `policy inspect --iam` \
                     asks for {actions}",
                    folder.display()
                );
            }
            invariants.map_or(Ok(Exit::Success), |file| encode::embed(&out, &file))
        }
        None => {
            let marks = [Language::Rust, Language::Javascript, Language::Python].map(Language::mark);
            let what = format!("isn't a policy project: it has none of {}", marks.join(", "));
            Err(unable(format!("{what}; `staging-sync policy new` starts one")))
        }
    }
}

/// Runs a script, which tells on stderr what it does.
fn bash(command: &mut Command) -> Result<(), String> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("could not be built; the reason is above".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("needs bash to be built: 'apt-get install bash', or your system's way".into())
        }
        Err(error) => Err(format!("bash: {error}")),
    }
}
