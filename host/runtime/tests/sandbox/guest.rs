//! A policy in WebAssembly text that behaves but for what a test puts in.
//!
//! It adds one staging account to every account. Its summary is an object of account ids, each with the
//! outcome's error, or with 0 where the account was updated; double quotes in errors become single ones.
//!
//! Reading it needs "Canonical ABI" of the component model: a text, and a list, is an address and a length; a
//! record is its fields one after the other; an `option` is a flag and the value.

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Where things are in the guest's memory. Everything else is zero: empty texts, and options without a value.
pub const PAIRS: usize = 256; // of each text: address and length
const INFO: usize = 512;
pub const ACCOUNT: usize = 560;
pub const VIEWS: usize = 608;
pub const RECEIPT: usize = 624;
pub const OUTCOME: usize = 672;
pub const SUMMARY: usize = 768;
pub const RESULT: usize = 784;
const TEXTS: usize = 1024;
const SUMMARY_TEXT: usize = 0x1_0000;
/// What the host hands in.
pub const HEAP: usize = 0x2_0000;
/// Zeros to the end of the memory.
pub const ZEROS: usize = 0x8_0000;

/// The texts that every guest has; a test's own come after them.
const OWN_TEXTS: [&str; 10] = [
    // info
    "hostile",
    "1.0.0",
    "sync_staging_accounts",
    "staging account sync",
    "{}",
    // The entry to add.
    ADDED,
    "Staging",
    "arn:aws:iam::222222222222:role/DRSOrchestrationRole",
    "external",
    "us-east-1",
];

/// The staging account that the guest adds.
pub const ADDED: &str = "222222222222";
/// The entry to add: five texts.
pub const ENTRY: usize = PAIRS + 5 * 8;
/// The first of a test's own texts, as the address of its address and length: so it's a list of one text as well.
pub const TEXT: usize = PAIRS + OWN_TEXTS.len() * 8;

/// The WIT package as it is in this repository.
pub const PACKAGE: &str = include_str!("../../../../wit/policy.wit");

/// What a test puts in.
#[derive(Debug, Default, Clone)]
pub struct Guest {
    /// The policy's version; `1.0.0` where it's empty.
    pub version: &'static str,
    /// Texts, at `TEXT`.
    pub texts: Vec<String>,
    /// The WIT package that it's built for; the one in this repository where it's empty.
    pub package: String,
    /// Further imports.
    pub imports: String,
    /// Further functions, tables and the like.
    pub items: String,
    /// What `sync` does first, for an account whose id ends in 1.
    pub sync: String,
    /// Whether it does so for every account.
    pub everywhere: bool,
    /// The operation that it serves instead of `sync_staging_accounts`.
    pub operation: Option<&'static str>,
    /// Whether it discovers by source servers, for which the session of an account's role must allow other actions.
    pub by_source_servers: bool,
    /// What `summarize` does first.
    pub summarize: String,
    /// What `info` does first.
    pub info: String,
    /// What `validate-settings` does first.
    pub validate_settings: String,
}

impl Guest {
    /// The guest as a component.
    pub fn component(&self) -> Vec<u8> {
        let text = if self.package.is_empty() { PACKAGE } else { &self.package };
        let version = text.split(['@', ';']).nth(1).expect("a version");
        let module = self.module().replace("@0.1.0\"", &format!("@{version}\""));
        let mut module = wat::parse_str(module).expect("valid WebAssembly text");
        let mut resolve = Resolve::default();
        let package = resolve.push_str("policy.wit", text).expect("the WIT package");
        let world = resolve.select_world(&[package], Some("policy")).expect("the world");
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("metadata");
        let encoder = ComponentEncoder::default();
        encoder.validate(true).module(&module).and_then(|mut encoder| encoder.encode()).expect("a component")
    }

    fn module(&self) -> String {
        let mut texts: Vec<&str> = OWN_TEXTS.into_iter().chain(self.texts.iter().map(String::as_str)).collect();
        if !self.version.is_empty() {
            texts[1] = self.version;
        }
        texts[2] = self.operation.unwrap_or(texts[2]);
        let mut at = TEXTS;
        let mut pairs = Vec::new();
        for text in &texts {
            pairs.extend([at, text.len()]);
            at += text.len();
        }
        assert!(at < SUMMARY_TEXT && PAIRS + pairs.len() * 4 <= INFO, "too much text");
        // name, version, one operation, settings schema
        let info = [pairs[0], pairs[1], pairs[2], pairs[3], PAIRS + 2 * 8, 1, pairs[8], pairs[9]];
        let Self { imports, items, sync, summarize, info: in_info, validate_settings, .. } = self;
        let (pairs, info, texts) = (words(&pairs), words(&info), escaped(texts.concat().as_bytes()));
        let (discovered, added, count) = (OUTCOME + 28, RECEIPT, OUTCOME + 64);
        let total = RECEIPT + 36;
        let everywhere = i32::from(self.everywhere);
        let discover = if self.by_source_servers { "discover-source-servers" } else { "discover" };
        format!(
            r#"(module
  (import "drs:staging-sync/account@0.1.0" "describe" (func $describe (param i32)))
  (import "drs:staging-sync/account@0.1.0" "{discover}" (func $discover (param i32 i32 i32)))
  (import "drs:staging-sync/account@0.1.0" "update" (func $update (param i32 i32 i32 i32 i32)))
  (import "drs:staging-sync/logging@0.1.0" "log" (func $log (param i32 i32 i32)))
  {imports}
  (memory (export "memory") 16)
  (data (i32.const {PAIRS}) "{pairs}")
  (data (i32.const {INFO}) "{info}")
  (data (i32.const {TEXTS}) "{texts}")
  (global $free (mut i32) (i32.const {HEAP}))
  (global $out (mut i32) (i32.const {SUMMARY_TEXT}))
  {items}

  ;; Nothing is ever given back: an instance lives for one call.
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $free (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
    (global.get $free)
    (global.set $free (i32.add (global.get $free) (local.get 3))))

  (func (export "info") (result i32)
    {in_info}
    (i32.const {INFO}))

  (func (export "validate-settings") (param i32 i32) (result i32)
    {validate_settings}
    (i32.const {RESULT}))

  (func (export "sync") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
    (call $describe (i32.const {ACCOUNT}))
    (if (i32.or (i32.const {everywhere})
        (i32.eq (i32.load8_u offset=11 (i32.load (i32.const {ACCOUNT}))) (i32.const 0x31))) (then
      {sync}))
    (call $behave)
    (i32.const {OUTCOME}))

  (func $behave
    (call $discover (i32.const 0) (i32.const 0) (i32.const {VIEWS}))
    (call $update (i32.const {ENTRY}) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const {RECEIPT}))
    (i64.store (i32.const {discovered}) (i64.load (i32.const {added})))
    (i32.store (i32.const {count}) (i32.load (i32.const {total}))))

  (func (export "summarize") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (param $one i32) (param $left i32) (result i32)
    {summarize}
    (call $put (i32.const 0x7b))
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $left)))
      (call $quote (i32.load (local.get $one)) (i32.load offset=4 (local.get $one)))
      (call $put (i32.const 0x3a))
      (if (i32.load8_u offset=36 (local.get $one))
        (then (call $quote (i32.load offset=40 (local.get $one)) (i32.load offset=44 (local.get $one))))
        (else (call $put (i32.add (i32.const 0x30) (i32.load8_u offset=20 (local.get $one))))))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (local.set $one (i32.add (local.get $one) (i32.const 108)))
      (if (local.get $left) (then (call $put (i32.const 0x2c))))
      (br $next)))
    (call $put (i32.const 0x7d))
    (i32.store (i32.const {SUMMARY}) (i32.const {SUMMARY_TEXT}))
    (i32.store offset=4 (i32.const {SUMMARY}) (i32.sub (global.get $out) (i32.const {SUMMARY_TEXT})))
    (i32.const {SUMMARY}))

  (func $put (param i32)
    (i32.store8 (global.get $out) (local.get 0))
    (global.set $out (i32.add (global.get $out) (i32.const 1))))

  (func $quote (param $at i32) (param $left i32)
    (call $put (i32.const 0x22))
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $left)))
      (call $put (select (i32.const 0x27) (i32.load8_u (local.get $at))
        (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x22))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $left (i32.sub (local.get $left) (i32.const 1)))
      (br $next)))
    (call $put (i32.const 0x22))))"#
        )
    }
}

/// Numbers of 32 bits, as text for a data segment.
fn words(numbers: &[usize]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| (*number as u32).to_le_bytes()).collect();
    escaped(&bytes)
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}
