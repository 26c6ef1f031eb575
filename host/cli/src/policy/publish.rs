//! `staging-sync policy publish`: a new active or shadow policy, from the next tick on.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Map, Value};
use staging_sync_runtime::activation::fetch_cases;
use staging_sync_runtime::activation::history::Kind;
use staging_sync_runtime::activation::manifest::{Cases, Entry, Manifest};
use staging_sync_runtime::activation::publish::{self, Broken, Found, published, repaired};
use staging_sync_runtime::activation::rollouts;
use staging_sync_runtime::case::{Case, bundle};
use staging_sync_runtime::policy::{self, COMPONENT};
use staging_sync_runtime::rollout::Step;
use staging_sync_runtime::store::Fetched;
use staging_sync_runtime::store::location::Location;
use staging_sync_runtime::{tape, text};
use staging_sync_workbench::find;

use super::record::{Note, author, end_rollouts, make};
use super::replay::Replaying;
use super::rollout_terms::Rollout;
use super::source;
use crate::{CommandError, Exit};

#[derive(Args)]
pub struct Arguments {
    /// The policy, as a path or an `s3://` URI of a component or a core module.
    policy: String,
    /// The new or existing manifest, as a path or an `s3://` URI that ends in .json. The component is stored beside it.
    #[arg(long, value_name = "URI")]
    to: String,
    /// The policy's settings, as a JSON file. Default: the settings of the active policy. If it has none, hosts use
    /// POLICY_SETTINGS.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Publish without settings, even if the active policy has some. Hosts then use POLICY_SETTINGS.
    #[arg(long, conflicts_with = "settings")]
    no_settings: bool,
    /// A directory of cases that the policy must pass before a host accepts it. They also run now. A case uses its own
    /// settings.json if it has one, and the published settings otherwise. Default: the cases of the active policy, if
    /// it has any. The built-in cases always run.
    #[arg(long, value_name = "DIR")]
    cases: Option<PathBuf>,
    /// Publish without cases, even if the active policy has some. Only the built-in cases run.
    #[arg(long, conflicts_with = "cases")]
    no_cases: bool,
    /// The secret key to sign with. If it has a password, set POLICY_KEY_PASSWORD.
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// The public key that hosts verify policies with, or its file. A policy that it doesn't verify isn't published.
    #[arg(long, env = "POLICY_PUBLIC_KEY", value_name = "KEY")]
    public_key: Option<String>,
    /// Run the policy beside the active one, without effect, to compare their decisions.
    #[arg(long)]
    shadow: bool,
    /// Publish even if the active policy serves an operation that this policy doesn't.
    #[arg(long)]
    replace: bool,
    /// Publish even if the manifest can't be read. Its intact parts are kept, and the broken file is saved beside it.
    #[arg(long)]
    repair: bool,
    #[command(flatten)]
    replay: Replaying,
    #[command(flatten)]
    rollout: Rollout,
    #[command(flatten)]
    note: Note,
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let steps = arguments.rollout.steps()?;
    let shadow = arguments.shadow || steps.is_some();
    let to = source::locate(&arguments.to).await?;
    let bytes = bytes(&source::locate(&arguments.policy).await?).await?;
    let found = publish::find(&to).await?;
    let before = match &found {
        Found::Nothing => None,
        Found::Manifest(stored) => Some(stored.manifest.clone()),
        Found::Broken(broken) if !arguments.repair => return Err(broken.unreadable(&to).into()),
        Found::Broken(_) => None,
    };
    let active = match &found {
        Found::Broken(broken) => broken.remains.active.as_ref(),
        _ => before.as_ref().map(|before| &before.active),
    };

    // A new version goes on with the settings and cases of the active one, unless it's told otherwise.
    let (settings, place) = arguments.settings(active)?;
    let cases = arguments.cases(&to, active).await?;

    // What a host would do with it, done here first. A signature is looked at once there is one.
    let unsigned = source::admission(None)?;
    let text =
        settings.clone().map_or_else(|| unsigned.settings.clone(), |settings| Value::Object(settings).to_string());
    let release = unsigned.judge(bytes.clone(), (text, &place), None, cases.clone()).await;
    let release = release.map_err(publish::Unchanged::from)?;
    let info = release.policy().info();
    if let Some(active) = active.filter(|_| !arguments.replace) {
        let title = format!("{} {}", info.name, info.version);
        source::serves_as_much(&to, active, &title, &info.operations, unsigned.limits).await?;
    }
    let replay = arguments.replay.judge(&to, active, release.policy(), settings.as_ref()).await?;
    let cases = cases.map(|text| {
        let sha256 = policy::sha256(&text);
        (Cases { file: format!("sha256-{sha256}.cases.json"), sha256 }, text)
    });
    let mut entry =
        Entry { cases: cases.as_ref().map(|(cases, _)| cases.clone()), replay, ..Entry::of(info, &bytes, settings) };
    if let Some(key) = &arguments.sign {
        let public_key = source::signing_key(key)?.sign(&mut entry).map_err(CommandError)?;
        say!("signed the policy; hosts verify it with POLICY_PUBLIC_KEY={public_key}");
    }
    source::admission(arguments.public_key.as_deref())?.signed(&entry).map_err(publish::Unchanged::from)?;
    let note = &arguments.note;
    if !note.dry_run {
        keep(&to, &entry.component, bytes).await?;
        if let Some((cases, text)) = cases {
            keep(&to, &cases.file, text).await?;
        }
    }
    if let Some(before) = &before {
        let there = if shadow { before.shadow.as_ref() } else { Some(&before.active) };
        if !arguments.rollout.is_asked() && there.is_some_and(|there| there.is_published_as(&entry)) {
            say!("{to}: nothing to do: {} is already published", source::title(&entry));
            return Ok(Exit::Success);
        }
    }
    let title = source::title(&entry);
    let manifest = match &found {
        Found::Broken(broken) => repaired(broken.remains.clone(), entry.clone(), shadow),
        _ => published(before.clone(), entry.clone(), shadow),
    };
    let manifest = manifest.map_err(|error| CommandError(format!("{to}: {error}")))?;
    if let Found::Broken(broken) = &found
        && !note.dry_run
    {
        repair(&to, broken).await?;
    }
    if let (Some(steps), Some(before)) = (steps, &before) {
        return arguments.roll_out(&to, before, found.version(), &manifest, &entry, steps).await;
    }
    let (kind, said) = match shadow {
        true => {
            let said = format!(
                "{title} runs as shadow policy from the next tick on; the log shows where its decisions differ\nnext: \
                 staging-sync policy promote {to}, or staging-sync policy withdraw {to}"
            );
            (Kind::Shadow, said)
        }
        false => (Kind::Publish, format!("{title} is active from the next tick on")),
    };
    make(&to, (before.as_ref(), found.version()), &manifest, kind, note, &said).await
}

impl Arguments {
    /// Begins the rollout of a candidate: its state first, which isn't in force before the manifest names the candidate.
    async fn roll_out(
        &self,
        to: &Location,
        before: &Manifest,
        version: Option<&str>,
        manifest: &Manifest,
        candidate: &Entry,
        steps: Vec<Step>,
    ) -> Result<Exit, CommandError> {
        if candidate.is_same(&before.active) {
            return Err(CommandError(format!("{to}: {} is active already", source::title(candidate))));
        }
        let by = author(to).await;
        let (first, count) = (steps.first().map(|step| step.share.to_string()), steps.len());
        let begun = self.rollout.begin(to, before, candidate, steps, by.clone()).await?;
        let title = source::title(candidate);
        if begun.is_under_way {
            say!("{to}: nothing to do: {title} is in this rollout already");
            return Ok(Exit::Success);
        }
        let mut unended = None;
        if !self.note.dry_run {
            // Of another candidate; this one's is replaced.
            let others = Manifest { shadow: None, ..manifest.clone() };
            let ended =
                Manifest { shadow: before.shadow.clone().filter(|it| it.sha256 != candidate.sha256), ..before.clone() };
            unended = end_rollouts(to, Some(&ended), &others, Kind::Rollout, &by).await;
            rollouts::put(to, begun.before.as_ref(), &begun.document).await?;
        }
        let said = format!(
            "{title} decides {} of the accounts from the next tick on, in the first of {count} steps, and runs as shadow \
             policy for the others\nnext: staging-sync policy rollout status {to}",
            first.unwrap_or_default()
        );
        let done = make(to, (Some(before), version), manifest, Kind::Rollout, &self.note, &said).await;
        match unended {
            Some(error) => {
                eprintln!("an earlier rollout couldn't be ended: {error}");
                done.map(|_| Exit::Failed)
            }
            None => done,
        }
    }

    /// The settings to publish, if any, and where they are, for people.
    fn settings(&self, active: Option<&Entry>) -> Result<(Option<Map<String, Value>>, String), CommandError> {
        if let Some(path) = &self.settings {
            return Ok((Some(settings(path)?), path.display().to_string()));
        }
        let kept = active.and_then(|entry| Some((entry, entry.settings.clone()?)));
        let Some((active, kept)) = kept.filter(|_| !self.no_settings) else {
            return Ok((None, "POLICY_SETTINGS".into()));
        };
        let (title, text) = (source::title(active), Value::Object(kept.clone()).to_string());
        say!("settings: kept from {title}: {text}; to change them, use --settings FILE or --no-settings");
        Ok((Some(kept), format!("the settings of {title} (to change them, use --settings FILE or --no-settings)")))
    }

    /// The cases to prove the policy on besides the built-in ones, if any.
    async fn cases(&self, to: &Location, active: Option<&Entry>) -> Result<Option<Vec<u8>>, CommandError> {
        if let Some(dir) = &self.cases {
            return cases(dir).map(Some);
        }
        let kept = active.and_then(|entry| Some((entry, entry.cases.as_ref()?))).filter(|_| !self.no_cases);
        let Some((active, kept)) = kept else { return Ok(None) };
        let title = source::title(active);
        let text = fetch_cases(to, kept).await.map_err(|error| {
            CommandError(format!(
                "{to}: the cases of {title}: {error}; to publish without them, use --cases DIR or --no-cases"
            ))
        })?;
        say!("cases: kept from {title}; to change them, use --cases DIR or --no-cases");
        Ok(Some(text))
    }
}

/// Puts a file beside the manifest, and says where it was damaged there.
async fn keep(to: &Location, name: &str, bytes: Vec<u8>) -> Result<(), CommandError> {
    if let Some(at) = publish::keep(to, name, bytes).await? {
        say!("{at}: repaired, because its content didn't match the digest in its name");
    }
    Ok(())
}

/// Keeps a broken manifest beside its place, and says what of it stays.
async fn repair(to: &Location, broken: &Broken) -> Result<(), CommandError> {
    say!("{to}: the manifest can't be read: {}", broken.error);
    say!("{to}: the broken manifest is saved as {}", broken.keep(to).await?);
    let remains = &broken.remains;
    for (name, entry) in [("active", &remains.active), ("previous", &remains.previous), ("shadow", &remains.shadow)] {
        match entry {
            Some(entry) => say!("{to}: kept its {name} policy: {}", source::title(entry)),
            None => say!("{to}: found no readable {name} policy"),
        }
    }
    Ok(())
}

async fn bytes(at: &Location) -> Result<Vec<u8>, CommandError> {
    match at.get(None, COMPONENT).await.map_err(|error| CommandError(error.message))? {
        Fetched::Found { bytes, .. } => Ok(bytes),
        _ => {
            Err(CommandError(format!("{at}: the policy doesn't exist; to build one, run `staging-sync policy build`")))
        }
    }
}

fn settings(path: &PathBuf) -> Result<Map<String, Value>, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", path.display()));
    let text = text::read(path).map_err(|error| unable(error.to_string()))?;
    tape::parse(&text).and_then(tape::read).map_err(unable)
}

fn cases(dir: &Path) -> Result<Vec<u8>, CommandError> {
    let found = find::find(&[dir.to_string_lossy().into_owned()]).map_err(CommandError)?;
    let cases: Vec<Case> = found.iter().map(|dir| Case::read(dir)).collect::<Result<_, _>>().map_err(CommandError)?;
    for case in cases.iter().filter(|case| case.pins_settings) {
        say!("case {} uses its own settings.json, not the published settings", case.name);
    }
    Ok(bundle::text(&cases).map_err(CommandError)?.into_bytes())
}
