//! `staging-sync console` as clients meet it that mean well, that send nonsense, and that don't mean well.

mod content;
mod hostile;
mod rollouts;
mod server;
