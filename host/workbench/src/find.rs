//! The selection of cases: directories, directories of cases, names, parts of names, wildcards.

use std::path::{Path, PathBuf};

use wildmatch::WildMatch;

/// Where cases are, if nothing else is said: in this project, and in one that holds a single policy.
const HOMES: [&str; 2] = ["plugin/cases", "cases"];

/// The directories of the cases meant by `names`, or of all. Each name is a case's directory, a directory of
/// cases, or else a name among the project's cases: a part of it, or all of it with `*` and `?` as wildcards.
pub fn find(names: &[String]) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    if names.is_empty() {
        found = children(home()?)?;
    }
    for name in names {
        let path = Path::new(name);
        if path.join("tape.json").exists() || path.join("event.json").exists() {
            found.push(path.to_owned());
        } else if path.is_dir() {
            found.extend(children(path)?);
        } else {
            found.extend(named(path)?);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn home() -> Result<&'static Path, String> {
    let home = HOMES.iter().map(Path::new).find(|home| home.is_dir());
    home.ok_or_else(|| format!("there's neither {} here: name the cases' directory", HOMES.join(" nor ")))
}

fn children(dir: &Path) -> Result<Vec<PathBuf>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", dir.display());
    let entries = std::fs::read_dir(dir).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let cases: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    if cases.is_empty() {
        return Err(format!("{}: expected cases, directories with a tape.json; found none", dir.display()));
    }
    Ok(cases)
}

fn named(path: &Path) -> Result<Vec<PathBuf>, String> {
    let pattern = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let dir = match path.parent() {
        Some(dir) if dir != Path::new("") => dir,
        _ => home()?,
    };
    let wild = pattern.contains(['*', '?']);
    let matcher = WildMatch::new(&pattern);
    let mut cases = children(dir)?;
    cases.retain(|case| {
        let name = case.file_name().unwrap_or_default().to_string_lossy();
        if wild { matcher.matches(&name) } else { name.contains(&pattern) }
    });
    if cases.is_empty() {
        return Err(format!("no case matches {pattern:?} in {}", dir.display()));
    }
    Ok(cases)
}
