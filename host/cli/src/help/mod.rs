//! The parts of help and manual besides the options: exit status, environment, examples.
//!
//! Both are generated from `pages`, so they say the same.

mod pages;

use clap::Command;
use clap::builder::StyledStr;
use staging_sync_runtime::config;

pub use pages::{PAGES, Page};

/// A group of variables that several commands read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variables {
    /// Those of a tick.
    Tick,
    /// Those that affect whether a host accepts a policy.
    Host,
    /// The policy that a command works with.
    Policy,
    /// The AWS SDK's.
    Aws,
    /// Where the journal is.
    Journal,
    /// The password of a secret key.
    Password,
    /// Where `serve` listens.
    Listen,
    /// By which names clients may ask.
    Hosts,
    /// Where compiled policies are kept.
    Cache,
    /// Which log lines are written, as by `tick`.
    Log,
    /// The same where lines are those of the Lambda.
    ServiceLog,
    /// The same where a command says all there is to say by itself.
    NoLog,
    /// How pages of the manual are shown.
    Pager,
}

/// The filter of the log, where `RUST_LOG` sets no other.
pub mod log_filter {
    /// Of a service: its lines are the only ones to look at.
    pub const SERVICE: &str = "warn,staging_sync=info";
    /// Of a command.
    pub const COMMAND: &str = "error,staging_sync=warn";
    /// Of a command that shows all there is to say itself.
    pub const NONE: &str = "off";
    /// With `-q`.
    pub const QUIET: &str = "error";
    /// With `-v`.
    pub const VERBOSE: &str = "warn,staging_sync=info";
    /// With `-vv`.
    pub const DEBUG: &str = "info,staging_sync=debug";
}

impl Variables {
    /// Each variable of the group, and what it means.
    pub fn list(self) -> Vec<(&'static str, String)> {
        let of_host = |names: &[&str]| {
            let known = config::VARIABLES.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
            known.map(|(name, text)| (*name, (*text).to_owned())).collect()
        };
        let one = |name, text: &str| vec![(name, text.to_owned())];
        match self {
            Self::Tick => of_host(&[]),
            Self::Host => of_host(&["POLICY_SETTINGS", "POLICY_PUBLIC_KEY", "POLICY_FUEL", "POLICY_MEMORY_MIB"]),
            Self::Journal => of_host(&["JOURNAL"]),
            Self::Policy => one("POLICY", "The policy, if you don't set --policy. Default: policy.wasm beside the program."),
            Self::Aws => vec![
                ("AWS_PROFILE", "The profile, as for the AWS CLI. The AWS SDK's other variables work as well: credentials, AWS_REGION, AWS_CONFIG_FILE, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_<SERVICE>, AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT.".into()),
                ("AWS_CA_BUNDLE", "A PEM file with the only certificate authorities to trust. Default: the system's.".into()),
                ("HTTPS_PROXY", "A proxy for AWS. Set HTTP_PROXY for endpoints without TLS, and NO_PROXY for hosts that need no proxy.".into()),
            ],
            Self::Password => one("POLICY_KEY_PASSWORD", "The password of the secret key. Default: none."),
            Self::Listen => one("LISTEN", "The address of the console, /healthz and /metrics, if you don't set --listen. Default: 127.0.0.1:8080."),
            Self::Hosts => one("ALLOW_HOST", "Names and addresses, separated by commas, as for --allow-host. Default: none."),
            Self::Cache => one("TMPDIR", "The directory for compiled policies, in a private subdirectory of the user. Default: /tmp."),
            Self::Log => log("warnings of this program and errors of libraries", log_filter::COMMAND),
            Self::ServiceLog => log("info of this program and warnings of libraries, as in the Lambda function", log_filter::SERVICE),
            Self::NoLog => log("none", log_filter::NONE),
            Self::Pager => vec![
                ("MANPAGER", "The program that shows a page on a terminal. If it isn't set, PAGER is used. Default: the pager of man.".into()),
            ],
        }
    }
}

fn log(default: &str, filter: &str) -> Vec<(&'static str, String)> {
    let text = format!(
        "Which log lines are written, for example warn,staging_sync=debug. Overrides -q and -v. Default: {default} ({filter})."
    );
    vec![("RUST_LOG", text)]
}

/// The page of a command, by its name without the program's: `policy publish`; that of the program is empty.
pub fn page(command: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.command == command)
}

impl Page {
    /// The variables that it reads.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut list: Vec<_> = self.variables.iter().flat_map(|group| group.list()).collect();
        list.dedup_by_key(|(name, _)| *name);
        list
    }

    /// Its exit codes in one sentence.
    pub fn exit_code(&self) -> String {
        let codes: Vec<String> = self.exit.iter().map(|(code, text)| format!("{code} {text}")).collect();
        format!("Exit code: {}.", codes.join(", "))
    }
}

/// The command with what its pages say in its help, and in that of each command in it.
pub fn documented(command: Command) -> Command {
    below(command, "")
}

fn below(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        let path = format!("{path} {name}");
        command = command.mut_subcommand(&name, |command| below(command, path.trim()));
    }
    let Some(page) = page(path) else { return command };
    let about =
        |text: Option<&StyledStr>| text.map(|text| format!("{text}\n\n")).unwrap_or_default() + &page.exit_code();
    let short = about(command.get_after_help());
    let mut long = about(command.get_after_long_help().or(command.get_after_help()));
    if !page.variables.is_empty() {
        long += "\n\nEnvironment:";
        page.environment().iter().for_each(|(name, text)| long += &format!("\n  {name}\n          {text}"));
    }
    long += "\n\nExamples:";
    page.examples.iter().for_each(|(line, text)| long += &format!("\n  {line}\n          {text}"));
    command.after_help(short).after_long_help(long)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    /// Each command with its path, the program itself included.
    fn commands(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
        found.push((path.to_owned(), command.clone()));
        for command in command.get_subcommands() {
            commands(command, format!("{path} {}", command.get_name()).trim(), found);
        }
    }

    fn all() -> Vec<(String, Command)> {
        let mut found = Vec::new();
        commands(&crate::Arguments::command(), "", &mut found);
        found
    }

    #[test]
    fn every_command_has_a_page_and_every_page_a_command() {
        let paths: Vec<String> = all().into_iter().map(|(path, _)| path).collect();
        for path in &paths {
            let page = page(path).unwrap_or_else(|| panic!("{path:?} has no page in help/pages.rs"));
            assert!(!page.exit.is_empty() && !page.examples.is_empty(), "{path:?}");
        }
        for page in PAGES {
            assert!(paths.iter().any(|path| path == page.command), "there's no command {:?}", page.command);
        }
    }

    #[test]
    fn every_variable_that_an_option_reads_is_on_its_page() {
        for (path, command) in all() {
            let known = page(&path).map(Page::environment).unwrap_or_default();
            for variable in command.get_arguments().filter_map(|argument| argument.get_env()) {
                assert!(known.iter().any(|(name, _)| *name == variable), "{variable:?} of {path:?}");
            }
        }
    }

    /// Up to where a shell would have its say.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quoted = false;
        for c in line.chars() {
            match (c, words.last_mut()) {
                ('\'', _) => quoted = !quoted,
                ('>' | '|' | '&', _) if !quoted => break,
                (' ', _) if !quoted => words.push(String::new()),
                (c, Some(word)) => word.push(c),
                (_, None) => {}
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_example_is_a_command_that_is_understood_and_that_of_its_page() {
        for page in PAGES {
            for (line, text) in page.examples {
                let words: Vec<String> = words(line).into_iter().skip_while(|word| word.contains('=')).collect();
                assert_eq!(words.first().map(String::as_str), Some("staging-sync"), "{line}");
                let mine = page.command.split_whitespace().eq(words
                    .iter()
                    .skip(1)
                    .map(String::as_str)
                    .take(page.command.split_whitespace().count()));
                assert!(mine && !text.is_empty(), "{line} on the page of {:?}", page.command);
                if let Err(error) = crate::Arguments::try_parse_from(&words) {
                    panic!("{line}: {error}");
                }
            }
        }
    }

    #[test]
    fn every_limit_of_a_value_is_in_the_help() {
        const BEYOND: &str = "9999999999999";
        let mut limited = 0;
        for (path, command) in all() {
            for argument in command.get_arguments().filter(|argument| argument.get_action().takes_values()) {
                let Some(name) = argument.get_long() else { continue };
                let line = ["staging-sync"].into_iter().map(str::to_owned);
                let line = line.chain(path.split_whitespace().map(str::to_owned)).chain([format!("--{name}={BEYOND}")]);
                let Err(error) = crate::Arguments::try_parse_from(line) else { continue };
                let error = error.to_string();
                let Some((_, range)) = error.split_once(" is not in ") else { continue };
                let range = range.lines().next().unwrap_or_default().replace("..=", " to ");
                if range.ends_with(&u32::MAX.to_string()) {
                    continue; // as much as there is
                }
                let help =
                    argument.get_long_help().or(argument.get_help()).map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&range), "--{name} of {path:?} may be {range}: {help:?}");
                limited += 1;
            }
        }
        assert!(limited > 8, "{limited}");
    }
}
