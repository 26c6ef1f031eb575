//! Invariants that didn't hold: how they are told, and the cases that are written of them.

use std::path::Path;

use staging_sync::case::Case;
use staging_sync::case::faults::Broken;
use staging_sync::policy::Policy;

/// Where the cases are written, unless something else is said.
pub const DIR: &str = "broken-cases";

/// Writes what happens as a case without an expectation, for people to look into.
pub async fn write(case: &Case, policy: &Policy, about: String, dir: &Path) -> Result<(), String> {
    let recorded = case.played_out(policy, about).await.map_err(|error| error.message)?;
    recorded.write_undecided(dir)
}

/// A variant of a case in which something didn't hold, in some lines, and written below `out`.
pub async fn variant(case: &Case, broken: &Broken, policy: &Policy, out: &Path) -> Result<String, String> {
    let fault = if broken.variant.about.is_empty() { "as recorded" } else { &broken.variant.about };
    let mut lines = vec![format!("  {fault}")];
    for violation in &broken.violations {
        lines.push(format!("    broken: {}", violation.invariant.text()));
        let whose = violation.account.as_ref().map(|account| format!("{account} ")).unwrap_or_default();
        lines.push(format!("      {whose}{}", violation.what));
    }
    let dir = out.join(format!("{}-{}", case.name, broken.variant.name));
    let about = format!("{}; {fault}", case.tape.about);
    write(&broken.case, policy, about, &dir).await?;
    lines.push(format!("    written: {}", dir.display()));
    Ok(lines.join("\n"))
}
