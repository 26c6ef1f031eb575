//! `staging-sync test`: a check whether a policy decides cases as expected.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use futures_util::stream::{self, StreamExt};
use quick_xml::escape::escape;
use staging_sync_runtime::case::Case;
use staging_sync_runtime::journal::Journal;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::policy::Policy;
use staging_sync_runtime::text::{counted, printable, printable_lines};
use staging_sync_workbench::recorded::{RecordedTick, counts};
use staging_sync_workbench::waived::Waived;
use staging_sync_workbench::{Verdict, check, faults, find};

use crate::recorded::{self, Recorded, Unused};
use crate::{CommandError, Exit, policy_arg, report};

/// How many cases run at once: a case computes, so more than there are cores is of no use.
const AT_ONCE: usize = 8;

#[derive(Args)]
pub struct Arguments {
    /// Cases, directories of cases, or names in plugin/cases: a part of a name, or the whole name with wildcards * and ?.
    #[arg(value_name = "CASES")]
    cases: Vec<String>,
    #[command(flatten)]
    recorded: Recorded,
    #[command(flatten)]
    policy: policy_arg::Choice,
    /// Accept the actual results as expected: rewrite summary.json, and the writes in tape.json.
    #[arg(long, conflicts_with_all = ["journal", "since", "until"])]
    bless: bool,
    /// Run every case with every fault that its calls can have, and check whether the invariants hold.
    #[arg(long, conflicts_with_all = ["bless", "journal", "since", "until"])]
    faults: bool,
    /// The directory for cases in which an invariant breaks.
    #[arg(long, value_name = "DIR", default_value = report::DIR, requires = "faults")]
    out: PathBuf,
    /// Also write a JUnit report.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// A case's line in the report.
struct Line {
    name: String,
    about: String,
    took: Duration,
    verdict: Result<Verdict, String>,
}

/// What is done with a case.
#[derive(Clone)]
enum Way {
    /// Compares with what it expects.
    Expected { bless: bool },
    /// Holds the invariants against its faults, and writes cases where they break.
    Faults { out: PathBuf, waived: Waived },
}

pub async fn run(arguments: Arguments) -> Result<Exit, CommandError> {
    let policy = arguments.policy.load().await?;
    if let Some((journal, ids)) = arguments.recorded.ticks().await? {
        return of_journal(journal, ids, policy, arguments.junit.as_deref()).await;
    }
    let cases = find::find(&arguments.cases).map_err(CommandError)?;
    let way = match arguments.faults {
        true => Way::Faults { out: arguments.out.clone(), waived: waived(&arguments.policy.path())? },
        false => Way::Expected { bless: arguments.bless },
    };
    let mut lines = Vec::new();
    let mut running = stream::iter(cases)
        .map(|dir| {
            let (policy, way) = (policy.clone(), way.clone());
            let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let task = tokio::spawn(async move { line(&dir, &policy, &way).await });
            async move {
                task.await.unwrap_or_else(|error| Line {
                    name,
                    about: String::new(),
                    took: Duration::ZERO,
                    verdict: Err(format!("host: {error}; please report it")),
                })
            }
        })
        .buffered(AT_ONCE);
    while let Some(line) = running.next().await {
        show(&line, arguments.faults);
        lines.push(line);
    }
    let count = |is: fn(&Result<Verdict, String>) -> bool| lines.iter().filter(|line| is(&line.verdict)).count();
    let differing = count(|verdict| matches!(verdict, Ok(Verdict::Differs(_))));
    let blessed = count(|verdict| matches!(verdict, Ok(Verdict::Blessed)));
    let broken = count(|verdict| verdict.is_err());
    let cases = counted(lines.len(), "case");
    if arguments.faults {
        println!("{cases}: {differing} broken, {broken} couldn't be checked");
    } else {
        println!("{cases}: {differing} differ, {broken} couldn't be checked, {blessed} blessed");
    }
    write_junit(arguments.junit.as_deref(), &lines)?;
    if broken > 0 {
        return Err(CommandError(format!("{broken} of {cases} couldn't be checked")));
    }
    Ok(if differing > 0 { Exit::Failed } else { Exit::Success })
}

/// Checks whether a policy decides recorded ticks as was decided then. Prints those in which something differs.
async fn of_journal(
    journal: Arc<Journal>,
    ids: Vec<TickId>,
    policy: Policy,
    junit: Option<&Path>,
) -> Result<Exit, CommandError> {
    let decide = move |tick: RecordedTick| {
        let policy = policy.clone();
        async move {
            let began = Instant::now();
            let compared = tick.case.run(&policy).await.map(|run| tick.compare(&run));
            (tick.case.name, compared, began.elapsed())
        }
    };
    let mut ticks = pin!(recorded::each(journal, ids, decide));
    let (mut lines, mut unused, mut left_out) = (Vec::new(), Unused::default(), BTreeMap::new());
    let (mut accounts, mut differing) = (0, 0);
    while let Some(used) = ticks.next().await {
        let Some((name, compared, took)) = unused.filter(used?) else { continue };
        let verdict = compared.map(|compared| {
            accounts += compared.accounts;
            differing += compared.differing.len();
            for (why, count) in &compared.left_out {
                *left_out.entry(*why).or_insert(0) += count;
            }
            match compared.text() {
                None => Verdict::Same,
                Some(text) => Verdict::Differs(text),
            }
        });
        let line = Line { name, about: String::new(), took, verdict };
        if !matches!(line.verdict, Ok(Verdict::Same)) {
            show(&line, false);
        }
        lines.push(line);
    }
    write_junit(junit, &lines)?;
    let differ = lines.iter().filter(|line| !matches!(line.verdict, Ok(Verdict::Same))).count();
    println!(
        "{}, {}: {} decided otherwise than recorded, {} {}",
        counted(lines.len(), "recorded tick"),
        counted(accounts, "decision"),
        counted(differing, "decision"),
        counted(differ, "tick"),
        if differ == 1 { "differs" } else { "differ" },
    );
    if let Some(left_out) = counts(&left_out) {
        println!("not compared: {left_out}");
    }
    if let Some(text) = unused.text() {
        println!("{text}");
    }
    if accounts == 0 && differ == 0 {
        return Err(CommandError("no decision of a policy is recorded in this time, so nothing was checked".into()));
    }
    Ok(if differ > 0 || unused.unreadable > 0 { Exit::Failed } else { Exit::Success })
}

fn write_junit(path: Option<&Path>, lines: &[Line]) -> Result<(), CommandError> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, junit(lines)).map_err(|error| CommandError(format!("{}: {error}", path.display())))
}

/// The invariants that the policy says don't apply to it.
fn waived(path: &Path) -> Result<Waived, CommandError> {
    let unable = |what: String| CommandError(format!("{}: {what}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| unable(error.to_string()))?;
    Waived::of_component(&bytes).map_err(unable)
}

async fn line(dir: &Path, policy: &Policy, way: &Way) -> Line {
    let began = Instant::now();
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let case = match way {
        Way::Expected { bless: true } => read_to_bless(dir),
        _ => Case::read(dir),
    };
    let case = match case {
        Ok(case) => case,
        Err(error) => return Line { name, about: String::new(), took: began.elapsed(), verdict: Err(error) },
    };
    let (about, verdict) = match way {
        Way::Expected { bless } => {
            let verdict = case.run(policy).await.and_then(|run| check(&case, &run, *bless));
            (case.tape.about, verdict)
        }
        Way::Faults { out, waived } => match under_faults(&case, policy, waived, out).await {
            Ok((about, verdict)) => (about, Ok(verdict)),
            Err(error) => (case.tape.about, Err(error)),
        },
    };
    Line { name: case.name, about, took: began.elapsed(), verdict }
}

/// Reads a case whose expectation is about to be rewritten, even if the expectation can't be read.
fn read_to_bless(dir: &Path) -> Result<Case, String> {
    Case::read(dir).or_else(|error| {
        let case = Case::read_undecided(dir)?; // whatever else is wrong with it
        say!("{error}: the actual result replaces it");
        Ok(case)
    })
}

/// How many variants of a case there are, and whether the invariants hold in all of them.
async fn under_faults(case: &Case, policy: &Policy, waived: &Waived, out: &Path) -> Result<(String, Verdict), String> {
    let found = faults::faults(case, policy, waived).await?;
    let mut about = format!("{} variants", found.variants);
    if found.beyond > 0 {
        about += &format!(", {} of them ask for what isn't on the tape", found.beyond);
    }
    if found.broken.is_empty() {
        return Ok((about, Verdict::Same));
    }
    let broken = report::told(case, &found.broken, policy, out).await?;
    Ok((about, Verdict::Differs(broken)))
}

fn show(line: &Line, faults: bool) {
    let (word, detail) = match &line.verdict {
        Ok(Verdict::Same) => ("ok", ""),
        Ok(Verdict::Blessed) => ("blessed", ""),
        Ok(Verdict::Differs(how)) => (if faults { "BROKEN" } else { "DIFFERS" }, how.as_str()),
        Err(error) => ("ERROR", error.as_str()),
    };
    println!("{word:8} {:32} {}", line.name, printable(&line.about));
    if !detail.is_empty() {
        println!("{}\n", printable_lines(detail));
    }
}

/// The report that build servers read; its format is that of Ant's `junit` task.
fn junit(lines: &[Line]) -> String {
    let failures = lines.iter().filter(|line| matches!(line.verdict, Ok(Verdict::Differs(_)))).count();
    let errors = lines.iter().filter(|line| line.verdict.is_err()).count();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"staging-sync\" tests=\"{}\" \
         failures=\"{failures}\" errors=\"{errors}\">\n",
        lines.len()
    );
    for line in lines {
        let body = match &line.verdict {
            Ok(Verdict::Differs(how)) => format!("<failure message=\"differs\">{}</failure>", xml(how)),
            Err(error) => format!("<error message=\"couldn't be checked\">{}</error>", xml(error)),
            Ok(_) => String::new(),
        };
        let (name, seconds) = (xml(&line.name), line.took.as_secs_f64());
        text.push_str(&format!(
            "    <testcase classname=\"staging-sync\" name=\"{name}\" time=\"{seconds:.3}\">{body}</testcase>\n"
        ));
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// Escaped, and without the control characters that XML can't have.
fn xml(text: &str) -> String {
    let text: String = text.chars().filter(|it| !it.is_control() || *it == '\n' || *it == '\t').collect();
    escape(&text).into_owned()
}
