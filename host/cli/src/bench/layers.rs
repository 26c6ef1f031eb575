//! Whose instructions a call's are, as `valgrind --tool=callgrind` counts them: by the source file of each instruction, inlined
//! ones included, or by its function where the build tells no file.
//!
//! The same program with the same calls comes to the same count, whatever else the machine does; the kernel's aren't in it.
//! What a start costs is left out: two runs are compared, of which one makes more ticks.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::host::{Caller, Measuring, Programs};
use super::ticks::Size;
use crate::{CommandError, table};

/// The instructions of a call.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layers {
    pub transport: &'static str,
    pub what: &'static str,
    /// In all.
    pub instructions: f64,
    pub by_layer: BTreeMap<&'static str, f64>,
}

/// The layers, in the order of a call, by the crates that do them.
pub const LAYERS: [(&str, &[&str]); 11] = [
    ("policy instance", &["wasmtime", "cranelift", "wasmparser", "pulley", "(policy)"]),
    ("host", &["staging_sync"]),
    ("SDK orchestration", &["aws_smithy", "aws_sdk", "aws_runtime", "aws_types", "aws_config", "aws_credential_types"]),
    ("signing", &["aws_sigv4", "sha2", "hmac", "digest", "block_buffer", "hex", "crypto_common", "cpufeatures"]),
    ("JSON", &["aws_smithy_json", "serde", "itoa", "ryu", "zmij"]),
    (
        "HTTP",
        &[
            "hyper",
            "http",
            "httparse",
            "httpdate",
            "tower",
            "indexmap",
            "want",
            "h2",
            "percent_encoding",
            "url",
            "form_urlencoded",
        ],
    ),
    ("TLS", &["rustls", "ring", "tokio_rustls", "hyper_rustls", "webpki"]),
    ("tasks", &["tokio", "mio", "futures", "parking_lot", "slab"]),
    ("log", &["tracing", "sharded_slab", "regex"]),
    ("memory", &["mimalloc", "libmimalloc", "mi_", "_mi_", "bytes", "hashbrown", "mem", "malloc", "free"]),
    ("other", &[""]),
];

/// A call's instructions by layer: of the host and of the floor, without TLS and with it. None without valgrind.
pub async fn measure(programs: &Programs) -> Result<Vec<Layers>, CommandError> {
    if !std::process::Command::new("valgrind").arg("--version").output().is_ok_and(|out| out.status.success()) {
        say!("no instructions are counted: there's no `valgrind`; install it (Debian: apt install valgrind)");
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    // Under valgrind the processor has other features, so the policy is compiled anew: once, before anything is counted.
    let kept = tempfile::tempdir().map_err(failed)?;
    let size = Size { accounts: 1, regions: 1, latency_ms: 0, concurrency: 1, journal: false, tls: false, cores: None };
    counted(&size, programs, Caller::Host, 1, kept.path()).await?;
    for tls in [false, true] {
        for (what, caller) in [("warm", Caller::Host), ("floor", Caller::Floor)] {
            let size =
                Size { accounts: 20, regions: 4, latency_ms: 0, concurrency: 4, journal: false, tls, cores: None };
            let (few, calls) = counted(&size, programs, caller, 1, kept.path()).await?;
            let (many, more_calls) = counted(&size, programs, caller, 5, kept.path()).await?;
            let calls = (more_calls - calls) as f64;
            let by_layer = LAYERS.map(|(layer, _)| {
                let count = |counts: &BTreeMap<&str, u64>| counts.get(layer).copied().unwrap_or_default() as f64;
                (layer, (count(&many) - count(&few)) / calls)
            });
            all.push(Layers {
                transport: if tls { "TLS" } else { "plain" },
                what,
                instructions: by_layer.iter().map(|(_, count)| count).sum(),
                by_layer: by_layer.into(),
            });
        }
    }
    Ok(all)
}

fn failed(error: std::io::Error) -> CommandError {
    CommandError(format!("bench: valgrind: {error}"))
}

/// The instructions by layer of a process that makes a first tick and so many warm ones, and the calls of the warm ones.
async fn counted(
    size: &Size,
    programs: &Programs,
    caller: Caller,
    warm: usize,
    kept: &Path,
) -> Result<(BTreeMap<&'static str, u64>, usize), CommandError> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let out = folder.path().join("callgrind");
    let mut option = std::ffi::OsString::from("--callgrind-out-file=");
    option.push(&out);
    let mut cache = std::ffi::OsString::from("TMPDIR=");
    cache.push(kept);
    let before = ["env".into(), cache, "valgrind".into(), "--quiet".into(), "--tool=callgrind".into(), option];
    let mut measuring = Measuring::start(size, programs, caller, &before).await?;
    measuring.tick("").await?;
    let mut calls = 0;
    for _ in 0..warm {
        measuring.tick("").await?;
        calls += measuring.lab.calls().len();
    }
    measuring.end().await?;
    Ok((by_layer(&std::fs::read_to_string(&out).map_err(failed)?), calls))
}

/// Sums up a file of callgrind ("Callgrind Format Specification" in valgrind's manual).
fn by_layer(text: &str) -> BTreeMap<&'static str, u64> {
    let (mut names, mut place) = (HashMap::new(), Place::default());
    let mut layers = BTreeMap::new();
    let mut known = HashMap::<Place, &str>::new();
    let mut of_call = false;
    for line in text.lines() {
        match line.split_once('=') {
            Some(("ob", name)) => place.object = full_name(&mut names, "object", name),
            Some(("fn", name)) => place.function = full_name(&mut names, "function", name),
            Some(("fl" | "fi" | "fe", name)) => place.file = full_name(&mut names, "file", name),
            // Of the called function: its names may be written out here, and are short afterwards.
            Some(("cob", name)) => drop(full_name(&mut names, "object", name)),
            Some(("cfn", name)) => drop(full_name(&mut names, "function", name)),
            Some(("cfi" | "cfl", name)) => drop(full_name(&mut names, "file", name)),
            Some(("calls", _)) => of_call = true,
            _ if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) => {
                // The line after `calls=` has what the called function cost.
                if !std::mem::take(&mut of_call)
                    && let Some(count) = line.split(' ').nth(1).and_then(|count| count.parse::<u64>().ok())
                {
                    let layer = *known.entry(place.clone()).or_insert_with(|| place.layer());
                    *layers.entry(layer).or_default() += count;
                }
            }
            _ => {}
        }
    }
    layers
}

/// A name, which is written out once: `(1) name`, afterwards `(1)`.
fn full_name(names: &mut HashMap<(&str, String), Arc<str>>, kind: &'static str, text: &str) -> Arc<str> {
    match text.split_once(' ') {
        Some((number, name)) if number.starts_with('(') => {
            let name: Arc<str> = name.into();
            names.insert((kind, number.to_owned()), name.clone());
            name
        }
        _ => names.get(&(kind, text.to_owned())).cloned().unwrap_or_else(|| text.into()),
    }
}

/// Where instructions are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    object: Arc<str>,
    file: Arc<str>,
    function: Arc<str>,
}

impl Default for Place {
    fn default() -> Self {
        Self { object: "".into(), file: "".into(), function: "".into() }
    }
}

impl Place {
    fn layer(&self) -> &'static str {
        let name = self.of();
        // The longest name that fits, so that `aws_smithy_json` isn't `aws_smithy`.
        let fits = LAYERS.iter().flat_map(|(layer, crates)| crates.iter().map(move |name| (layer, *name)));
        fits.filter(|(_, prefix)| name.starts_with(prefix))
            .max_by_key(|(_, prefix)| prefix.len())
            .map_or("other", |(layer, _)| *layer)
    }

    /// The crate, or what else is known.
    fn of(&self) -> String {
        // .../registry/src/<registry>/<crate>-<version>/src/lib.rs
        if let Some((_, path)) = self.file.split_once("/registry/src/")
            && let Some(name) = path.split('/').nth(1).and_then(|folder| folder.rsplit_once('-'))
        {
            return name.0.replace('-', "_");
        }
        if self.file.contains("host/") && self.file.ends_with(".rs") && !self.file.contains("/library/") {
            return "staging_sync".into();
        }
        // Code without an object and a file is what was compiled from WebAssembly.
        if self.object.is_empty() || &*self.object == "???" {
            return "(policy)".into();
        }
        let function = self
            .function
            .trim_start_matches(['<', '&', '[', '('])
            .trim_start_matches("mut ")
            .trim_start_matches("dyn ");
        if let Some((_, other)) = self.function.split_once(" as ")
            && ["alloc::", "core::", "std::"].iter().any(|own| function.starts_with(own))
        {
            return other.to_owned();
        }
        match function.strip_prefix("__") {
            Some(libc) => libc.to_owned(),
            None => function.to_owned(),
        }
    }
}

pub fn print(all: &[Layers]) {
    if all.is_empty() {
        return;
    }
    println!(
        "Whose instructions a call's are, warm tick of 20 accounts, 4 calls at once; the kernel's aren't among them\n"
    );
    let columns = all.iter().map(|layers| format!("{}, {}", layers.what, layers.transport).to_uppercase());
    let header: Vec<String> = ["LAYER".to_owned()].into_iter().chain(columns).collect();
    let mut table = table::table(&header.iter().map(String::as_str).collect::<Vec<_>>());
    let row = |name: &str, of: &dyn Fn(&Layers) -> f64| {
        let cells = all.iter().map(|layers| format!("{:.0}", of(layers).round() + 0.0)); // + 0: not "-0"
        [name.to_owned()].into_iter().chain(cells).collect::<Vec<_>>()
    };
    for (layer, _) in LAYERS {
        table.add_row(row(layer, &|layers| layers.by_layer.get(layer).copied().unwrap_or_default()));
    }
    table.add_row(row("all", &|layers| layers.instructions));
    println!("{table}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_counted_once_and_by_the_file_of_each() {
        let text = "events: Ir\n\nob=(1) /bin/staging-sync\nfl=(1) /home/x/.cargo/registry/src/y/hyper-1.12.0/src/a.rs\n\
            fn=(1) hyper::a\n10 5\nfi=(2) /home/x/.cargo/registry/src/y/aws-smithy-json-0.61.1/src/b.rs\n+3 7\nfe=(1)\n* 1\n\
            cfn=(2) aws_sigv4::sign\ncalls=3 20\n12 1000\n\nfn=(2)\nfl=(3) ???\n20 1000\n\n\
            ob=(2) ???\nfn=(3) 0x0000000012\nfl=(3)\n0 40\n\nob=(3) /lib/libc.so.6\nfn=(4) __memcpy_avx_unaligned_erms\n0 9\n\
            ob=(1)\nfn=(5) <alloc::vec::Vec<T> as rustls::Codec>::encode\n1 2\ntotals: 1064\n";
        let expected =
            [("HTTP", 6), ("JSON", 7), ("TLS", 2), ("memory", 9), ("policy instance", 40), ("signing", 1000)];
        assert_eq!(by_layer(text), BTreeMap::from(expected));
    }
}
