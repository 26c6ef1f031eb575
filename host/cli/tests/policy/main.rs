//! `staging-sync policy`, as policy authors use it: the binary's exit code, stdout and stderr together.

mod bad_input;
mod inspect;
mod new;
mod package;
mod session;
mod support;
