//! Completions and the manual: for every shell, and for every command.

use crate::staging_sync;

#[tokio::test]
async fn every_shell_has_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = staging_sync().args(["completions", shell]).output().await.expect("the staging-sync binary");
        let script = String::from_utf8(ran.stdout).expect("text");
        assert!(ran.status.success() && ran.stderr.is_empty(), "{shell}");
        for word in ["staging-sync", "serve", "publish", "dry-run"] {
            assert!(script.contains(word), "{word} in {shell}'s: {script}");
        }
    }
}

#[tokio::test]
async fn every_command_has_a_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("man1");
    let ran = staging_sync().args(["man", "--dir"]).arg(&dir).output().await.expect("the staging-sync binary");
    assert!(ran.status.success() && ran.stdout.is_empty() && ran.stderr.is_empty());
    let page = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for name in ["staging-sync.1", "staging-sync-tick.1", "staging-sync-serve.1", "staging-sync-policy-publish.1"] {
        assert!(page(name).contains(".SH SYNOPSIS"), "{name}");
    }
    assert!(page("staging-sync-serve.1").contains("/healthz"));
    for name in ["staging-sync.1", "staging-sync-tick.1"] {
        for (variable, _) in staging_sync::config::VARIABLES {
            assert!(page(name).contains(variable), "{variable} in {name}");
        }
    }

    let ran = staging_sync().arg("man").output().await.expect("the staging-sync binary");
    assert_eq!(String::from_utf8(ran.stdout).expect("text"), page("staging-sync.1"));
}
