//! Texts that a policy compares with: constants of its component that could be a name or an account id.
//!
//! A compiler keeps a text in the data section, and code that knows its address and length, or else as numbers in the
//! code. Where one constant ends and the next begins isn't written down, so this guesses, and rather too many than
//! too few.

use std::collections::{BTreeMap, BTreeSet};

use wasmparser::{DataKind, Operator, Parser, Payload};

/// How long a name can be.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=64;

/// How many instructions can be between two numbers that belong together.
const NEAR: usize = 12;

/// How many parts of one text there are in code.
const PARTS: usize = 4;

/// What was found, each once, the likeliest names first.
#[derive(Debug, Default, PartialEq)]
pub struct Constants {
    /// Texts that could be names.
    pub names: Vec<String>,
    /// Texts that could be account ids.
    pub accounts: Vec<String>,
}

/// A core module's parts.
#[derive(Default)]
struct Module {
    /// Addresses and lengths, as the code may have them.
    slices: BTreeSet<(u32, u32)>,
    /// Texts made of the code's numbers.
    inline: BTreeSet<String>,
    /// The data, by address.
    data: BTreeMap<u32, Vec<u8>>,
}

/// The constants of a component, or of a core module. What can't be read has none.
pub fn constants(bytes: &[u8]) -> Constants {
    let mut modules = vec![Module::default()];
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(payload) = payload else { break };
        match payload {
            Payload::Version { .. } => modules.push(Module::default()),
            Payload::CodeSectionEntry(body) => {
                let Some(module) = modules.last_mut() else { continue };
                if let Ok(operators) = body.get_operators_reader() {
                    module.code(operators.into_iter().map_while(Result::ok));
                }
            }
            Payload::DataSection(segments) => {
                let Some(module) = modules.last_mut() else { continue };
                for segment in segments.into_iter().map_while(Result::ok) {
                    let DataKind::Active { offset_expr, .. } = segment.kind else { continue };
                    if let Ok(Operator::I32Const { value }) = offset_expr.get_operators_reader().read() {
                        module.data.insert(value as u32, segment.data.to_vec());
                    }
                }
            }
            _ => {}
        }
    }
    let (mut quoted, mut referred, mut runs) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for module in &modules {
        quoted.extend(module.quoted());
        referred.extend(module.inline.iter().cloned());
        referred.extend(module.referred());
        runs.extend(module.runs());
    }
    let accounts: BTreeSet<String> =
        [&quoted, &referred, &runs].into_iter().flatten().flat_map(|text| ids(text)).collect();
    let mut seen = BTreeSet::new();
    let texts =
        quoted.into_iter().chain(referred).chain(runs).filter(|text| is_name(text) && seen.insert(text.clone()));
    let mut names: Vec<String> = texts.collect();
    // The words of a language or a library come last.
    names.sort_by_key(|name| is_code(name));
    Constants { names, accounts: accounts.into_iter().collect() }
}

impl Module {
    fn code<'a>(&mut self, operators: impl Iterator<Item = Operator<'a>>) {
        let mut numbers: Vec<(usize, u32)> = Vec::new();
        let mut parts: Vec<(usize, String)> = Vec::new();
        for (at, operator) in operators.enumerate() {
            let bytes = match operator {
                Operator::I32Const { value } => {
                    let value = value as u32;
                    numbers.retain(|(before, _)| at - before <= NEAR);
                    for (_, other) in &numbers {
                        for (address, length) in [(*other, value), (value, *other)] {
                            if LENGTHS.contains(&(length as usize)) && address as usize > *LENGTHS.end() {
                                self.slices.insert((address, length));
                            }
                        }
                    }
                    numbers.push((at, value));
                    value.to_le_bytes().to_vec()
                }
                Operator::I64Const { value } => value.to_le_bytes().to_vec(),
                _ => continue,
            };
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            let Some(text) = bytes.get(..end).and_then(text).filter(|text| text.len() > 1) else { continue };
            parts.retain(|(before, _)| at - before <= NEAR * PARTS);
            let near = parts.last().is_some_and(|(before, _)| at - before <= NEAR);
            if !near {
                parts.clear();
            }
            parts.push((at, text));
            let all: Vec<&str> = parts.iter().rev().take(PARTS).map(|(_, text)| text.as_str()).collect();
            for many in 1..=all.len() {
                let last = &all[..many];
                self.inline.insert(last.iter().rev().fold(String::new(), |whole, part| joined(&whole, part)));
                self.inline.insert(last.iter().fold(String::new(), |whole, part| joined(&whole, part)));
            }
        }
    }

    /// The texts whose address and length the code has, or the data itself.
    fn referred(&self) -> BTreeSet<String> {
        let mut slices = self.slices.clone();
        for (start, data) in &self.data {
            let skipped = (4 - *start as usize % 4) % 4;
            let words: Vec<u32> = (data.get(skipped..).unwrap_or_default().chunks_exact(4))
                .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
                .collect();
            let pairs = words.windows(2).map(|pair| (pair[0], pair[1]));
            slices.extend(pairs.filter(|(_, length)| LENGTHS.contains(&(*length as usize))));
        }
        slices.into_iter().filter_map(|(address, length)| self.text_at(address, length as usize)).collect()
    }

    fn text_at(&self, address: u32, length: usize) -> Option<String> {
        let (start, data) = self.data.range(..=address).next_back()?;
        let begin = (address - start) as usize;
        text(data.get(begin..begin.checked_add(length)?)?)
    }

    /// The texts between what isn't text.
    fn runs(&self) -> impl Iterator<Item = String> {
        self.lines().filter(|line| LENGTHS.contains(&line.len())).map(str::to_owned)
    }

    /// The texts between quotes: of a language whose source is in the data.
    fn quoted(&self) -> impl Iterator<Item = String> {
        self.lines()
            .flat_map(|line| ['"', '\'', '`'].into_iter().flat_map(move |quote| line.split(quote).skip(1).step_by(2)))
            .filter(|text| LENGTHS.contains(&text.len()))
            .map(str::to_owned)
    }

    fn lines(&self) -> impl Iterator<Item = &str> {
        let lines = self.data.values().flat_map(|data| data.split(|byte| byte.is_ascii_control()));
        lines.filter_map(|line| std::str::from_utf8(line).ok()).filter(|line| !line.chars().any(char::is_control))
    }
}

/// Two parts of a text; what a read of the second has in common with the first is there once.
fn joined(one: &str, other: &str) -> String {
    let common =
        (1..other.len()).rev().filter(|end| other.is_char_boundary(*end)).find(|end| one.ends_with(&other[..*end]));
    format!("{one}{}", &other[common.unwrap_or(0)..])
}

/// Bytes as a text without control characters.
fn text(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
}

fn is_name(text: &str) -> bool {
    LENGTHS.contains(&text.len()) && text.chars().filter(|it| it.is_alphanumeric()).count() >= 2
}

/// Whether a text looks like a library's own: a path, a message with gaps, a sentence.
fn is_code(text: &str) -> bool {
    ["::", ".rs", ".py", ".js", "{", "}", "`", "drs:", "wasm", "cabi_"].iter().any(|sign| text.contains(sign))
        || text.split(' ').count() > 5
        || text.starts_with(|first: char| !first.is_alphanumeric())
}

/// The account ids in a text.
fn ids(text: &str) -> impl Iterator<Item = String> {
    let runs = text.split(|it: char| !it.is_ascii_digit());
    runs.filter(|run| run.len() == 12).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Constants {
        constants(&wat::parse_str(text).expect("a module"))
    }

    #[test]
    fn a_text_is_found_by_its_address_and_length_in_code_or_data() {
        let found = of(r#"(module (memory 1)
            (func (result i32) (i32.add (i32.const 1028) (i32.const 4)))
            (data (i32.const 1024) "abc KEEPunchanged")
            (data (i32.const 2048) "\08\04\00\00\09\00\00\00"))"#);
        assert!(found.names.contains(&"KEEP".into()) && found.names.contains(&"unchanged".into()), "{found:?}");
    }

    #[test]
    fn a_text_is_found_in_the_numbers_of_the_code_and_where_they_overlap() {
        // "KEEP" at once; "Payroll DR" as its first eight bytes and its last two, or its last eight.
        let number = |text: &str| i64::from_le_bytes(text.as_bytes().try_into().expect("eight"));
        let (one, other) = (number("Payroll "), number("yroll DR"));
        let found = of(&format!(
            "(module (func (drop (i32.const {})) (drop (i64.const {one})) (drop (i32.const {})))
               (func (drop (i64.const {one})) (drop (i64.const {other}))))",
            u32::from_le_bytes(*b"KEEP"),
            u16::from_le_bytes(*b"DR"),
        ));
        assert!(found.names.contains(&"KEEP".into()) && found.names.contains(&"Payroll DR".into()), "{found:?}");
    }

    #[test]
    fn a_text_in_quotes_comes_first_however_long_its_line_is() {
        let source = format!("if (name.startsWith('KEEP')) return; // {}", "because it is so ".repeat(9));
        let found = of(&format!("(module (memory 1) (data (i32.const 1024) \"\\00aardvark\\00{source}\\00\"))"));
        assert_eq!(found.names, ["KEEP", "aardvark"]);
    }

    #[test]
    fn account_ids_are_no_names_alone_and_what_is_broken_has_no_constants() {
        let found = of(r#"(module (memory 1) (data (i32.const 1024) "\00vendor 444455556666\00"))"#);
        assert_eq!((found.accounts, found.names), (vec!["444455556666".into()], vec!["vendor 444455556666".into()]));
        assert_eq!(constants(b"\0asm\x0d\0\x01\0\x7f\x7f"), Constants::default());
        assert_eq!(constants(b""), Constants::default());
    }
}
