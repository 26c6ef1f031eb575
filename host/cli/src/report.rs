//! Reports of broken invariants, and the cases that are written for them.

use std::path::Path;

use staging_sync_runtime::case::Case;
use staging_sync_runtime::policy::Policy;
use staging_sync_workbench::faults::Broken;
use staging_sync_workbench::invariants::Violation;
use staging_sync_workbench::judge;

/// The default directory of these cases.
pub const DIR: &str = "broken-cases";

/// Writes what happens as a case without an expectation, for people to look into.
pub async fn write(case: &Case, policy: &Policy, about: String, dir: &Path) -> Result<(), String> {
    let recorded = judge::played_out(case, policy, about).await.map_err(|error| error.message)?;
    recorded.write_undecided(dir)
}

/// What didn't hold of a case, each thing once, with the faults under which it didn't; the first of them is written
/// as a case below `out`.
pub async fn told(case: &Case, broken: &[Broken], policy: &Policy, out: &Path) -> Result<String, String> {
    let mut groups: Vec<(&[Violation], Vec<&Broken>)> = Vec::new();
    for variant in broken {
        match groups.iter_mut().find(|(violations, _)| *violations == variant.violations) {
            Some((_, group)) => group.push(variant),
            None => groups.push((&variant.violations, vec![variant])),
        }
    }
    let mut lines = Vec::new();
    for (violations, group) in groups {
        for violation in violations {
            let whose = violation.account.as_ref().map(|account| format!("{account} ")).unwrap_or_default();
            lines.push(format!("  broken: {}", violation.invariant.text()));
            lines.push(format!("    {whose}{}", violation.what));
        }
        lines.extend(group.iter().map(|broken| format!("    {}", fault(broken))));
        let Some(first) = group.first() else { continue };
        let dir = out.join(format!("{}-{}", case.name, first.variant.name));
        let about = format!("{}; {}", case.tape.about, fault(first));
        write(&first.case, policy, about, &dir).await?;
        lines.push(format!("    written: {}", dir.display()));
    }
    Ok(lines.join("\n"))
}

fn fault(broken: &Broken) -> &str {
    if broken.variant.about.is_empty() { "as recorded" } else { &broken.variant.about }
}
