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
        for (variable, _) in staging_sync_runtime::config::VARIABLES {
            assert!(page(name).contains(variable), "{variable} in {name}");
        }
    }

    for file in std::fs::read_dir(&dir).expect("pages") {
        let name = file.expect("a page").file_name().to_string_lossy().into_owned();
        let page = page(&name);
        assert!(page.contains(".SH \"EXIT STATUS\"") && page.contains(".SH EXAMPLES"), "{name}: {page}");
    }
    for (name, variable) in [
        ("staging-sync-serve.1", "LISTEN"),
        ("staging-sync-policy-keygen.1", "POLICY_KEY_PASSWORD"),
        ("staging-sync-policy-status.1", "POLICY_PUBLIC_KEY"),
        ("staging-sync-tick.1", "AWS_CA_BUNDLE"),
        ("staging-sync-replay.1", "RUST_LOG"),
    ] {
        let page = page(name);
        let (_, section) = page.split_once(".SH ENVIRONMENT").unwrap_or_else(|| panic!("{name}: {page}"));
        assert!(section.contains(&format!("\\fB{variable}")), "{variable} in {name}");
    }

    let ran = staging_sync().args(["man", "policy", "publish"]).output().await.expect("the staging-sync binary");
    assert_eq!(String::from_utf8(ran.stdout).expect("text"), page("staging-sync-policy-publish.1"));
    let ran = staging_sync().args(["man", "publish"]).output().await.expect("the staging-sync binary");
    assert!(ran.status.code() == Some(2) && String::from_utf8_lossy(&ran.stderr).contains("policy"));
    let ran = staging_sync().arg("man").output().await.expect("the staging-sync binary");
    assert_eq!(String::from_utf8(ran.stdout).expect("text"), page("staging-sync.1"));
}

/// On a terminal (that of `script`) a page is shown by man, and where there's none the help by the pager.
#[tokio::test]
async fn a_page_is_paged_on_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    let tool = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("a script");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("a script");
    };
    std::os::unix::fs::symlink("/bin/sh", folder.path().join("sh")).expect("a link");
    let show = async |variables: &[(&str, &str)]| {
        let mut script = tokio::process::Command::new("/usr/bin/script");
        script.args(["-qec", concat!(env!("CARGO_BIN_EXE_staging-sync"), " man tick"), "/dev/null"]).env_clear();
        script.envs(variables.iter().copied()).env("PATH", folder.path()).env("SHELL", "/bin/sh").kill_on_drop(true);
        let ran = script.stdin(std::process::Stdio::null()).output().await.expect("script, of util-linux");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("text")
    };
    tool("pager", "read -r line; echo \"paged: $line\"; while read -r line; do :; done");
    let paged = "paged: Run one tick against AWS";
    assert!(show(&[("PAGER", "pager")]).await.contains(paged));
    assert!(show(&[("PAGER", "false"), ("MANPAGER", "pager")]).await.contains(paged));
    let plain = show(&[]).await;
    assert!(plain.contains("--dry-run") && plain.contains("Examples:") && !plain.contains(".SH"), "{plain}");
    tool("man", "echo \"man $*\"; while read -r line; do case $line in .SH*) echo \"$line\";; esac; done");
    let shown = show(&[("PAGER", "pager")]).await;
    assert!(shown.contains("man -l -") && shown.contains(".SH ENVIRONMENT") && !shown.contains("paged"), "{shown}");
}
