//! `staging-sync policy build`: a component from a policy project in any language.

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
    /// The project's directory, as created by `staging-sync policy new`.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The file to write the component to. Default: `policy.wasm` in the project's directory.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// How a Rust project becomes a core module, with whichever toolchain is there.
const RUST: &str = include_str!("../../../../plugin/build.sh");

pub fn run(arguments: &Arguments) -> Result<Exit, CommandError> {
    let folder = &arguments.folder;
    let unable = |what: String| CommandError(format!("{}: {what}", folder.display()));
    if !folder.is_dir() {
        return Err(unable("the directory doesn't exist".into()));
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
                return Err(unable("has no build.sh, which builds a policy in this language".into()));
            }
            // The toolchain says itself what is wrong with a WIT package; here it's read for what is told beside.
            let wit = Wit::of(folder).ok();
            if let Some(wit) = &wit
                && wit.refresh_types(folder).map_err(unable)?
            {
                say!("{}: updated types/, because wit/ has changed", folder.display());
            }
            bash(Command::new("bash").arg(script).arg(&out)).map_err(unable)?;
            for (name, actions) in wit.iter().flat_map(|wit| wit.unused(folder, language)) {
                say!(
                    "{}: imports {name}, but no file in src/ uses it: comment it out in wit/, or the policy needs {actions} \
                     (see `policy inspect --iam`)",
                    folder.display()
                );
            }
            invariants.map_or(Ok(Exit::Success), |file| encode::embed(&out, &file))
        }
        None => {
            let marks = [Language::Rust, Language::Javascript, Language::Python].map(Language::mark);
            let what = format!("isn't a policy project: expected one of {}", marks.join(", "));
            Err(unable(format!("{what}; to create a project, run `staging-sync policy new`")))
        }
    }
}

/// Runs a script, which tells on stderr what it does.
fn bash(command: &mut Command) -> Result<(), String> {
    let status = command.stdin(Stdio::null()).stdout(std::io::stderr()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err("the build failed; see the messages above".into()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err("the build needs bash: install it, for example with `apt-get install bash`".into())
        }
        Err(error) => Err(format!("bash: {error}")),
    }
}
