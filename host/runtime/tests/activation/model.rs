//! Random histories of a host with two policies, against a model that judges anew at every look.
//!
//! Manifests are published, rolled back, broken and mended; files are half copied and completed; the host starts
//! again; both policies tick. After each step the model says which policy serves the sync, and which accounts are
//! decided. What a host remembers beyond that (sessions, refusals, loads, unused regions) must make no difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use staging_sync_lab::{Lab, Mutate};
use staging_sync_runtime::activation::manifest::{Cases, Entry, Manifest};
use staging_sync_runtime::activation::publish;
use staging_sync_runtime::{Event, Service, Tick};

use crate::guest::{ADDED, Guest};
use crate::support::{self, id, patience, targets};
use crate::{entry, folder, put, trapping, version};

const SYNC: &str = "sync_staging_accounts";
const REPORT: &str = "a_report";
/// Ticks after which a region that an account doesn't use is asked again.
const RECHECK: usize = 3;
/// The region that no account uses.
const UNUSED: &str = "ap-south-1";
const PACKAGED: &str = "9.0.0";
/// The report's version.
const REPORTER: &str = "7.0.0";

/// The versions of the sync's policy, and what is wrong with each.
const VERSIONS: [&str; 5] = ["1.0.0", "2.0.0", "3.0.0", "4.0.0", "5.0.0"];

fn guest(number: usize) -> Guest {
    match number {
        0 | 1 => version(VERSIONS[number]),
        2 | 3 => trapping(VERSIONS[number]),
        _ => Guest { info: "unreachable".into(), ..version(VERSIONS[number]) },
    }
}

fn traps(number: usize) -> bool {
    matches!(number, 2 | 3)
}

/// How a manifest speaks of a version.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Told {
    Right,
    /// It calls it another one.
    Wrong,
    /// Its cases aren't there.
    WithoutCases,
}

/// What a manifest offers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Revision {
    number: usize,
    told: Told,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Report {
    Broken,
    Fine,
    /// It serves the sync's operation instead of its own.
    TakesTheSync,
}

#[derive(Debug, Clone)]
enum Step {
    Publish(Revision),
    RollBack,
    /// The manifest is no JSON until the next one is published.
    Garble,
    /// A version's component is half copied, or whole.
    File(usize, bool),
    Report(Report),
    Restart,
    Ticks(usize),
    ReportTick,
}

/// A policy that decides, as the model knows it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Active {
    Version(usize),
    /// With the settings of a manifest, or without.
    Packaged,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Before {
    None,
    AtHand(usize),
    Listed(Revision),
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct CurrentPolicies {
    active: Active,
    before: Before,
    /// Whether a listed policy before it was needed, and loaded.
    loaded: bool,
}

/// What a manifest says: the active policy and the one before.
type Listed = (Revision, Option<Revision>);

/// The rules.
#[derive(Debug)]
struct Model {
    published: Option<Listed>,
    garbled: bool,
    halved: [bool; VERSIONS.len()],
    report: Report,
    host: Host,
}

/// What a host remembers.
#[derive(Debug, Default)]
struct Host {
    /// The manifest that it follows.
    followed: Option<Listed>,
    sync: Option<CurrentPolicies>,
    /// A good version that was refused because the other policy serves the operation.
    refused: Option<usize>,
    /// The last manifest of which no policy was good, where none was before.
    substitute: Option<Listed>,
    /// What the report's source serves: its own, or the packaged policy.
    reporter: Option<Result<Report, ()>>,
}

impl Model {
    fn is_good(&self, revision: Revision) -> bool {
        revision.told == Told::Right && revision.number < 4 && !self.halved[revision.number]
    }

    /// Whether a host takes a version, which it may know already.
    fn is_taken(&self, revision: Revision) -> bool {
        let Host { sync, refused, .. } = &self.host;
        let at_hand = sync.is_some_and(|current| {
            current.active == Active::Version(revision.number) || current.before == Before::AtHand(revision.number)
        });
        match at_hand || *refused == Some(revision.number) {
            true => revision.told == Told::Right,
            false => self.is_good(revision),
        }
    }

    fn reporter_syncs(&self) -> bool {
        self.host.reporter == Some(Ok(Report::TakesTheSync))
    }

    /// The packaged policy stands in for the sync, or nothing does.
    fn is_vacant(&self) -> bool {
        self.host.sync.is_none_or(|current| current.active == Active::Packaged)
    }

    /// Both sources are judged as they are now; the report is listed first.
    fn refresh(&mut self) {
        if self.report == Report::Fine || self.report == Report::TakesTheSync && self.is_vacant() {
            self.host.reporter = Some(Ok(self.report));
        }
        if let Some(listed @ (active, previous)) = self.published.filter(|_| !self.garbled)
            && self.host.followed != self.published
        {
            let good = self.is_taken(active);
            self.host.refused = (good && self.reporter_syncs()).then_some(active.number);
            if good && !self.reporter_syncs() {
                let now = self.host.sync.map(|current| current.active);
                let kept = self.host.sync.filter(|current| current.active == Active::Version(active.number));
                let before = match previous {
                    Some(previous) if now == Some(Active::Version(previous.number)) => Before::AtHand(previous.number),
                    Some(previous) if kept.is_some_and(|it| it.before == Before::AtHand(previous.number)) => {
                        Before::AtHand(previous.number)
                    }
                    Some(previous) => Before::Listed(previous),
                    None => Before::None,
                };
                let active = Active::Version(active.number);
                let current = CurrentPolicies { active, before, loaded: false };
                self.host = Host { sync: Some(current), followed: self.published, substitute: None, ..self.take() };
            } else {
                self.host.followed = None;
                if self.is_vacant() {
                    self.host.substitute = Some(listed);
                    self.host.sync = None; // it's found again, with the settings of this manifest
                }
            }
        }
        self.fall_back();
    }

    fn take(&mut self) -> Host {
        std::mem::take(&mut self.host)
    }

    /// Where the sync's source has no policy that was good: the one before it, else the packaged one; for the report
    /// the packaged one last.
    fn fall_back(&mut self) {
        let stands = |active| Some(CurrentPolicies { active, before: Before::None, loaded: false });
        if let Some((_, previous)) = self.host.substitute.filter(|_| self.is_vacant()) {
            self.host.sync = match previous.filter(|previous| self.is_good(*previous)) {
                _ if self.reporter_syncs() => None,
                Some(previous) => stands(Active::Version(previous.number)),
                None => stands(Active::Packaged),
            };
        }
        match (self.host.sync, self.host.reporter) {
            (Some(_), Some(Err(()))) => self.host.reporter = None,
            (None, None) => self.host.reporter = Some(Err(())),
            _ => {}
        }
    }

    /// The version that serves the sync, and its settings.
    fn serves(&self) -> Option<(&'static str, String)> {
        let none = || "{}".to_owned();
        match (self.host.sync, self.host.reporter) {
            (_, Some(Ok(Report::TakesTheSync))) => Some((REPORTER, none())),
            (Some(CurrentPolicies { active: Active::Version(number), .. }), _) => {
                Some((VERSIONS[number], settings(number)))
            }
            (Some(CurrentPolicies { active: Active::Packaged, .. }), _) => {
                let (active, _) = self.host.substitute.expect("what it stands in for");
                Some((PACKAGED, settings(active.number)))
            }
            (None, Some(Err(()))) => Some((PACKAGED, none())),
            _ => None,
        }
    }

    /// Whether a tick decides the account that some versions trap on.
    fn decides_all(&mut self) -> bool {
        let Some(CurrentPolicies { active: Active::Version(number), before, loaded }) = self.host.sync else {
            return true;
        };
        if !traps(number) || self.reporter_syncs() {
            return true;
        }
        match before {
            Before::None => false,
            Before::AtHand(before) => !traps(before),
            Before::Listed(before) => {
                let loaded = loaded || self.is_good(before);
                self.host.sync.as_mut().expect("a current").loaded = loaded;
                loaded && !traps(before.number)
            }
        }
    }
}

/// A manifest's settings for a version; none for every other one.
fn settings(number: usize) -> String {
    if number % 2 == 1 { format!(r#"{{"of":{number}}}"#) } else { "{}".to_owned() }
}

/// A host, its files, its fleet, and the model of all that.
struct World {
    lab: Lab,
    folder: tempfile::TempDir,
    service: Service,
    manifest: Option<Manifest>,
    model: Model,
    /// For each account, how many ticks ago its unused region was asked.
    since: BTreeMap<String, usize>,
}

impl World {
    async fn new() -> Self {
        let mut fleet = targets((0..2).map(|_| (vec![], vec![ADDED.to_owned()])));
        fleet.regions = [UNUSED, "us-east-1"].map(str::to_owned).to_vec();
        let (lab, folder) = (Lab::start(fleet).await.expect("a lab"), folder());
        fs::write(folder.path().join("packaged.wasm"), version(PACKAGED).component()).expect("a file");
        fs::write(folder.path().join("report.wasm"), b"half a component").expect("a file");
        put(folder.path(), "{");
        let service = service(&lab, &folder);
        let (halved, report) = ([false; VERSIONS.len()], Report::Broken);
        let model = Model { published: None, garbled: true, halved, report, host: Host::default() };
        Self { lab, folder, service, manifest: None, model, since: BTreeMap::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn entry(&self, Revision { number, told }: Revision) -> Entry {
        let mut entry = entry(self.folder.path(), &guest(number));
        self.write(number);
        entry.settings = serde_json::from_str(&settings(number)).ok().filter(|_| number % 2 == 1);
        match told {
            Told::Right => {}
            Told::Wrong => entry.version = "0.0.0".into(),
            Told::WithoutCases => {
                let sha256 = "0".repeat(64);
                entry.cases = Some(Cases { file: format!("sha256-{sha256}.json"), sha256 });
            }
        }
        entry
    }

    /// Writes a version's component, half of it where that's the step that was taken.
    fn write(&self, number: usize) {
        let bytes = guest(number).component();
        let name = entry(self.folder.path(), &guest(number)).component;
        let end = if self.model.halved[number] { bytes.len() / 2 } else { bytes.len() };
        fs::write(self.path(&name), &bytes[..end]).expect("a component");
    }

    /// Publishes, in the files and in the model.
    fn publish(&mut self, manifest: Manifest, listed: Listed) {
        put(self.folder.path(), &manifest.text());
        self.manifest = Some(manifest);
        self.model.published = Some(listed);
        self.model.garbled = false;
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Publish(revision) => {
                let manifest = publish::published(self.manifest.clone(), self.entry(revision), false);
                let before = self.model.published;
                let candidates = before.into_iter().flat_map(|(active, previous)| [Some(active), previous]);
                let previous = candidates.flatten().find(|before| before.number != revision.number);
                self.publish(manifest.expect("a manifest"), (revision, previous));
            }
            Step::RollBack => match (self.manifest.clone().map(publish::rolled_back), self.model.published) {
                (Some(Ok(manifest)), Some((_, Some(previous)))) => self.publish(manifest, (previous, None)),
                (Some(Err(_)) | None, Some((_, None)) | None) => {}
                (manifest, listed) => prop_assert!(false, "rolled back to {manifest:?} from {listed:?}"),
            },
            Step::Garble => {
                put(self.folder.path(), "{");
                self.model.garbled = true;
            }
            Step::File(number, whole) => {
                self.model.halved[number] = !whole;
                self.write(number);
            }
            Step::Report(report) => {
                let guest = Guest { by_source_servers: true, ..version(REPORTER) };
                let bytes = match report {
                    Report::Broken => b"half a component".to_vec(),
                    Report::Fine => Guest { operation: Some(REPORT), ..guest }.component(),
                    Report::TakesTheSync => guest.component(),
                };
                fs::write(self.path("report.wasm"), bytes).expect("a component");
                self.model.report = report;
            }
            Step::Restart => {
                self.service = service(&self.lab, &self.folder);
                self.model.host = Host::default();
                self.since.clear();
            }
            Step::Ticks(count) => {
                for _ in 0..count {
                    self.tick(SYNC).await?;
                }
            }
            Step::ReportTick => self.tick(REPORT).await?,
        }
        self.model.refresh();
        let release = self.service.release(SYNC).await.ok();
        let found = release.map(|release| (release.policy().info().version.clone(), release.settings().to_owned()));
        let expected = self.model.serves().map(|(version, settings)| (version.to_owned(), settings));
        prop_assert_eq!(found, expected, "{:?}", self.model);
        Ok(())
    }

    async fn tick(&mut self, operation: &str) -> Result<(), TestCaseError> {
        self.lab.clear_calls();
        for number in 0..2 {
            // The policies say that they change every account.
            let set = serde_json::json!({"stagingAccounts": []}).as_object().cloned().unwrap_or_default();
            self.lab.update_item(&Mutate { key: Some(id(number)), set, ..Mutate::default() }).expect("an edit");
        }
        self.model.refresh();
        let serves = match operation {
            SYNC => self.model.serves().is_some(),
            _ => self.model.host.reporter == Some(Ok(Report::Fine)),
        };
        let report = self.service.tick(Tick::of(Event::of(operation)), |_, _| ()).await;
        prop_assert_eq!(report.is_ok(), serves, "{}: {:?}", operation, report.err());
        let Ok(report) = report else { return Ok(()) };
        let refused = self.lab.calls().into_iter().find(|call| call.error.as_deref() == Some("AccessDeniedException"));
        prop_assert_eq!(refused, None, "whatever the policies have in common, each has the sessions that it needs");
        self.since.values_mut().for_each(|since| *since += 1);
        let all = operation != SYNC || self.model.decides_all();
        for number in 0..2 {
            let (id, outcome) = (id(number), &report.summary[id(number)]);
            let decided = all || number == 0;
            prop_assert_eq!(outcome.is_number(), decided, "{} {}: {}", operation, id, outcome);
            let by_servers = operation == REPORT || self.model.reporter_syncs();
            if decided && !by_servers {
                let asked = self.lab.calls().iter().any(|call| {
                    call.account.as_deref() == Some(&*id)
                        && call.region == UNUSED
                        && call.operation == "ListStagingAccounts"
                });
                let since = self.since.entry(id).or_insert(RECHECK);
                prop_assert!(asked || *since < RECHECK, "an unused region was asked {} ticks ago", since);
                if asked {
                    *since = 0;
                }
            }
        }
        Ok(())
    }
}

fn service(lab: &Lab, folder: &tempfile::TempDir) -> Service {
    let path = |name: &str| folder.path().join(name);
    let list = format!("{},{}", path("report.wasm").display(), path("policy.json").display());
    let recheck = RECHECK.to_string();
    let variables = [("POLICY", &*list), ("RESCUE_LIMIT", "100000"), ("REGION_RECHECK_TICKS", &*recheck)];
    let (config, live) = support::config_and_live(lab, &variables, patience()).expect("settings");
    Service::with_packaged(config, Arc::new(live), None, &path("packaged.wasm")).expect("a service")
}

fn offer() -> impl Strategy<Value = Revision> {
    let told = prop_oneof![6 => Just(Told::Right), 1 => Just(Told::Wrong), 1 => Just(Told::WithoutCases)];
    (0..VERSIONS.len(), told).prop_map(|(number, told)| Revision { number, told })
}

fn step() -> impl Strategy<Value = Step> {
    let report = prop::sample::select(vec![Report::Broken, Report::Fine, Report::TakesTheSync]);
    prop_oneof![
        6 => offer().prop_map(Step::Publish),
        2 => Just(Step::RollBack),
        1 => Just(Step::Garble),
        4 => (0..VERSIONS.len(), any::<bool>()).prop_map(|(number, whole)| Step::File(number, whole)),
        4 => report.prop_map(Step::Report),
        2 => Just(Step::Restart),
        6 => (1..6_usize).prop_map(Step::Ticks),
        3 => Just(Step::ReportTick),
    ]
}

async fn history(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut world = World::new().await;
    for (place, step) in steps.iter().enumerate() {
        world.step(step).await.map_err(|error| TestCaseError::fail(format!("step {place}, {step:?}: {error}")))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_host_goes_by_what_its_files_say_now(steps in prop::collection::vec(step(), 1..24)) {
        let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        tokio.expect("a runtime").block_on(history(steps))?;
    }
}

/// The previous policy that a host has loaded is still at hand after the same manifest is written again.
#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_that_is_written_again_leaves_the_previous_policy_at_hand() {
    let publish = |number| Step::Publish(Revision { number, told: Told::Right });
    let steps = vec![publish(2), publish(0), publish(0), Step::File(2, false), publish(2)];
    history(steps).await.expect("the model's answers");
}
