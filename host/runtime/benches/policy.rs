//! What a policy costs by itself: starting the engine, loading, instantiating, deciding; and a client of DRS.
//!
//! `make bench` runs it in the development profile, whose dependencies are optimised, so that nothing is built twice.
//! It adds its figures to the JSON file that `BENCH_JSON` names, from the repository's root.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_drs as drs;
use aws_smithy_http_client::Builder as HttpBuilder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use criterion::{BatchSize, Criterion};
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use staging_sync_policy::diff::diff;
use staging_sync_policy::settings::Removals as Setting;
use staging_sync_policy::types as native;
use staging_sync_runtime::aws::{Aws, AwsApi, AwsError, Call, Request};
use staging_sync_runtime::bindings::{self, types};
use staging_sync_runtime::capability::Scope;
use staging_sync_runtime::policy::{self, Cache, Candidate, Limits, Policy};
use staging_sync_runtime::removals::RemovalBudget;
use staging_sync_runtime::target::Target;
use tokio::runtime::Runtime;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "us-west-2"];
const TARGET: &str = "111122223333";

/// As many instances at once as accounts are under way with `MAX_CONCURRENCY=128`.
const AT_ONCE: u32 = 192;

/// How many decisions are timed one by one.
const DECISIONS: usize = 5_000;

fn main() {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let Ok(component) = std::fs::read(target.join("policy.wasm")) else {
        eprintln!("{}: there's no such file: `make policy` builds it", target.join("policy.wasm").display());
        std::process::exit(2);
    };
    let results = target.join("criterion");
    let runtime = Runtime::new().expect("a runtime");
    let mut criterion = Criterion::default()
        .output_directory(&results)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    loading(&mut criterion, &runtime, &component);
    instances(&mut criterion, &runtime, &component);
    decisions(&mut criterion, &runtime, &component);
    clients(&mut criterion, &runtime);
    criterion.final_summary();

    let mut figures = medians(&results);
    figures.extend(percentiles(&runtime, &component));
    println!("\n{:<44} {:>14}", "POLICY", "MEDIAN");
    for (name, value) in &figures {
        let unit = if name.ends_with("fuel") { "units" } else { "us" };
        println!("{name:<44} {value:>11.1} {unit}");
    }
    if let Ok(file) = std::env::var("BENCH_JSON") {
        let file = target.join("..").join(file);
        let text = std::fs::read_to_string(&file).unwrap_or_else(|_| "{}".into());
        let mut all: Value = serde_json::from_str(&text).expect("JSON, as `staging-sync bench` writes it");
        all["policy"] = json!(figures);
        std::fs::write(&file, format!("{all:#}\n")).expect("a file that can be written");
    }
}

/// From nothing to a policy that can decide.
fn loading(criterion: &mut Criterion, runtime: &Runtime, component: &[u8]) {
    let mut group = criterion.benchmark_group("load");
    group.bench_function("engine start", |bench| {
        bench.iter(|| Engine::new(&policy::engine_config()).expect("an engine"))
    });
    group.bench_function("compile", |bench| bench.iter(|| Candidate::compile(component).expect("a candidate")));
    let folder = tempfile::tempdir().expect("a folder");
    let cache = Cache::at(folder.path());
    Candidate::compile_once(component, &cache).expect("a candidate"); // and kept
    group.bench_function("precompiled", |bench| {
        bench.iter(|| Candidate::compile_once(component, &cache).expect("a candidate"));
    });
    group.bench_function("link and ask for info", |bench| {
        bench.to_async(runtime).iter_batched(
            || Candidate::compile_once(component, &cache).expect("a candidate"),
            async |candidate| candidate.load(Limits::default()).await.expect("a policy"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Instances that are all there at once, made and ended: a store, a stack, memories; each is asked for its info.
fn instances(criterion: &mut Criterion, runtime: &Runtime, component: &[u8]) {
    let mut pooling = policy::engine_config();
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(AT_ONCE)
        .total_core_instances(AT_ONCE * 8)
        .total_memories(AT_ONCE)
        .total_tables(AT_ONCE * 4)
        .total_stacks(AT_ONCE)
        .max_memory_size(Limits::default().memory)
        .table_elements(Limits::default().table_elements);
    pooling.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let mut group = criterion.benchmark_group(format!("{AT_ONCE} instances at once"));
    for (name, config) in [("on demand", policy::engine_config()), ("pooling", pooling)] {
        let engine = Engine::new(&config).expect("an engine");
        let component = Component::new(&engine, component).expect("a component");
        let mut linker = Linker::<()>::new(&engine);
        linker.define_unknown_imports_as_traps(&component).expect("imports");
        let pre = linker.instantiate_pre(&component).expect("a linked component");
        group.bench_function(name, |bench| {
            bench.to_async(runtime).iter(async || {
                join_all((0..AT_ONCE).map(|_| tokio::spawn(instance(engine.clone(), pre.clone())))).await
            });
        });
    }
    group.finish();
}

/// Lives until all are there.
async fn instance(engine: Engine, pre: InstancePre<()>) -> Store<()> {
    let mut store = Store::new(&engine, ());
    store.set_fuel(Limits::default().fuel).expect("fuel");
    let instance = pre.instantiate_async(&mut store).await.expect("an instance");
    let policy = bindings::Policy::new(&mut store, &instance).expect("a policy");
    black_box(policy.call_info(&mut store).await.expect("its info"));
    store
}

/// One account decided: by the component with all of the host but AWS, and its comparison natively.
fn decisions(criterion: &mut Criterion, runtime: &Runtime, component: &[u8]) {
    let policy = runtime.block_on(Policy::from_bytes(component, Limits::default())).expect("a policy");
    let decision = Decision::new(&policy);
    let mut group = criterion.benchmark_group("an account");
    group.bench_function("decision", |bench| bench.to_async(runtime).iter(|| decision.make(&policy)));
    let account = native::Account {
        id: TARGET.into(),
        name: None,
        is_current: false,
        role_arn: None,
        staging_accounts: (1..4).map(stored).collect(),
    };
    let views: Vec<_> = REGIONS.iter().enumerate().map(|(number, region)| view(region, number)).collect();
    group.bench_function("comparison, natively", |bench| bench.iter(|| diff(&account, &views, Setting::All)));
    group.finish();
}

fn staging(number: usize) -> String {
    format!("{:012}", 222_200_000_000_u64 + number as u64)
}

fn stored(number: usize) -> native::StagingAccount {
    native::StagingAccount { id: staging(number), name: None, added_by: None, added_at: None }
}

fn view(region: &str, number: usize) -> native::RegionView {
    native::RegionView { region: region.into(), staging_account_ids: vec![staging(number)], error: None }
}

/// What a decision needs.
struct Decision {
    target: Target,
    aws: Arc<Aws>,
    regions: Arc<[String]>,
    removals: Arc<RemovalBudget>,
    tick: types::Tick,
}

impl Decision {
    fn new(policy: &Policy) -> Self {
        let entry = |number| json!({"M": {"accountId": {"S": staging(number)}, "accountName": {"S": "Staging"}}});
        let item = json!({
            "accountId": {"S": TARGET},
            "roleArn": {"S": format!("arn:aws:iam::{TARGET}:role/DRSOrchestrationRole")},
            "stagingAccounts": {"L": (1..4).map(entry).collect::<Vec<_>>()},
        });
        let regions = REGIONS.map(String::from);
        Self {
            target: Target::read(item.as_object().expect("an item")).expect("a target"),
            aws: Arc::new(Aws::new(Arc::new(Canned), "targets", &policy.access())),
            regions: regions.to_vec().into(),
            removals: RemovalBudget::unlimited(),
            tick: types::Tick {
                operation: "sync_staging_accounts".into(),
                now: "2026-02-02T22:45:00Z".into(),
                dry_run: false,
                regions: regions.to_vec(),
                settings: "{}".into(),
            },
        }
    }

    /// An account with one staging account to add.
    async fn make(&self, policy: &Policy) {
        let removals = self.removals.account();
        let (aws, regions) = (Arc::clone(&self.aws), Arc::clone(&self.regions));
        let scope = Scope::new(self.target.clone(), aws, regions, self.tick.now.as_str().into(), removals);
        let (outcome, _) = policy.sync(&self.tick, scope).await;
        assert_eq!(outcome.expect("a decision").added, [staging(0)]);
    }
}

/// An AWS that answers at once: in each region one staging account.
struct Canned;

impl AwsApi for Canned {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Value, AwsError>> {
        let answer = match &call.request {
            Request::ListStagingAccounts { .. } => {
                let region = REGIONS.iter().position(|region| call.region.as_deref() == Some(region));
                json!({"accounts": [{"accountID": staging(region.unwrap_or_default())}]})
            }
            _ => json!({"Credentials": {"Expiration": "2999-01-01T00:00:00Z"}}),
        };
        Box::pin(std::future::ready(Ok(answer)))
    }
}

/// A client of DRS: made, as the host does once a region, or one that is there used again.
fn clients(criterion: &mut Criterion, runtime: &Runtime) {
    let _inside = runtime.enter();
    let credentials = || Credentials::new("AKIDEXAMPLE", "secret", Some("token".into()), None, "bench");
    let http = HttpBuilder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let sdk = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .endpoint_url("http://127.0.0.1:9")
        .http_client(Lazy(http))
        .build();
    let base = drs::config::Builder::from(&sdk).build();
    let make = || {
        let config = base.to_builder().credentials_provider(credentials()).region(drs::config::Region::new(REGIONS[0]));
        drs::Client::from_conf(config.build())
    };
    let kept = make();
    let mut group = criterion.benchmark_group("a client of DRS");
    group.bench_function("made", |bench| bench.iter(make));
    group.bench_function("kept", |bench| bench.iter(|| kept.clone()));
    group.finish();
}

/// As the host's: connections, and the certificates for them, aren't looked at when a client is made.
#[derive(Debug)]
struct Lazy(SharedHttpClient);

impl HttpClient for Lazy {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        self.0.http_connector(settings, components)
    }
}

/// What criterion measured, in microseconds.
fn medians(results: &Path) -> BTreeMap<String, f64> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    };
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut medians = BTreeMap::new();
    for group in folders(results) {
        for bench in folders(&group) {
            let Ok(text) = std::fs::read_to_string(bench.join("new/estimates.json")) else { continue };
            let estimates: Value = serde_json::from_str(&text).unwrap_or_default();
            let median = estimates["median"]["point_estimate"].as_f64().map(|nanoseconds| nanoseconds / 1e3);
            medians.extend(median.map(|median| (format!("{}: {}", name(&group), name(&bench)), median)));
        }
    }
    medians
}

/// Decisions one by one, which criterion doesn't time: the slow ones, and their fuel.
fn percentiles(runtime: &Runtime, component: &[u8]) -> BTreeMap<String, f64> {
    let policy = runtime.block_on(Policy::from_bytes(component, Limits::default())).expect("a policy");
    let decision = Decision::new(&policy);
    let before = policy.used();
    let mut times: Vec<f64> = (0..DECISIONS)
        .map(|_| {
            let began = Instant::now();
            runtime.block_on(decision.make(&policy));
            began.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    let fuel = policy.used().since(before).fuel as f64 / DECISIONS as f64;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((DECISIONS as f64 * share) as usize).min(DECISIONS - 1)];
    BTreeMap::from([
        ("an account: decision, p50".to_owned(), at(0.5)),
        ("an account: decision, p99".to_owned(), at(0.99)),
        ("an account: decision, fuel".to_owned(), fuel),
    ])
}
