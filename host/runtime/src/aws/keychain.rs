//! The host's own credentials: loaded once for all clients, and again when they expire or their files change.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, Result, SharedCredentialsProvider, future};
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

/// How long credentials may take to be found: a `credential_process` or a single sign-on needs seconds.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// How long before their end credentials are replaced.
const MARGIN: Duration = Duration::from_secs(60);

/// How long credentials without an end are kept before they are looked for again.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// Makes the chain of providers, which reads the files as they are then.
type Make = Box<dyn Fn() -> BoxFuture<'static, Option<SharedCredentialsProvider>> + Send + Sync>;

/// Where all clients of this process have the host's credentials from.
pub(super) struct Keychain {
    make: Make,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The files, as they were when the chain was made.
    files: Vec<Option<(SystemTime, u64)>>,
    chain: Option<SharedCredentialsProvider>,
    found: Option<(Credentials, Instant)>,
}

impl Keychain {
    pub(super) fn new(make: Make) -> Self {
        Self { make, state: Mutex::default() }
    }

    async fn credentials(&self) -> Result {
        let mut state = self.state.lock().await;
        let files = files();
        if state.chain.is_none() || state.files != files {
            // What was found in other files is no longer what the operator means.
            *state = State { files, chain: (self.make)().await, found: None };
        }
        if let Some((credentials, since)) = &state.found {
            let lasts = match credentials.expiry() {
                Some(until) => SystemTime::now() + MARGIN < until,
                None => since.elapsed() < KEPT,
            };
            if lasts {
                return Ok(credentials.clone());
            }
        }
        let chain = state.chain.clone().ok_or_else(|| CredentialsError::not_loaded("none are configured"))?;
        let found = match tokio::time::timeout(LONGEST, chain.provide_credentials()).await {
            Ok(found) => found,
            Err(_) => Err(CredentialsError::provider_timed_out(LONGEST)),
        };
        match (found, &state.found) {
            (Ok(credentials), _) => {
                state.found = Some((credentials.clone(), Instant::now()));
                Ok(credentials)
            }
            // They can't be renewed now, and aren't at their end yet.
            (Err(error), Some((old, _))) if old.expiry().is_none_or(|until| SystemTime::now() < until) => {
                tracing::warn!(
                    error = super::sdk_error::reasons(&error),
                    "the host's credentials could not be renewed"
                );
                Ok(old.clone())
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl ProvideCredentials for Keychain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.credentials())
    }
}

impl std::fmt::Debug for Keychain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keychain")
    }
}

/// The state of the files that profiles are in: when they were changed, and their size.
fn files() -> Vec<Option<(SystemTime, u64)>> {
    let state = |path: PathBuf| fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
    [("AWS_CONFIG_FILE", "config"), ("AWS_SHARED_CREDENTIALS_FILE", "credentials")]
        .into_iter()
        .map(|(variable, name)| {
            let named = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from);
            named.or_else(|| Some(std::env::home_dir()?.join(".aws").join(name))).and_then(state)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Debug)]
    struct Counting(Arc<AtomicUsize>, Option<Duration>);

    impl ProvideCredentials for Counting {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            let number = self.0.fetch_add(1, Ordering::Relaxed);
            future::ProvideCredentials::ready(match number {
                0 => Ok(Credentials::new("id", "secret", None, self.1.map(|left| SystemTime::now() + left), "test")),
                _ => Err(CredentialsError::not_loaded("signed out")),
            })
        }
    }

    async fn twice(left: Option<Duration>) -> (bool, usize) {
        let asked = Arc::<AtomicUsize>::default();
        let of = Arc::clone(&asked);
        let keychain = Keychain::new(Box::new(move || {
            let of = Arc::clone(&of);
            Box::pin(async move { Some(SharedCredentialsProvider::new(Counting(of, left))) })
        }));
        keychain.credentials().await.expect("credentials");
        (keychain.credentials().await.is_ok(), asked.load(Ordering::Relaxed))
    }

    #[tokio::test]
    async fn credentials_are_found_once_and_used_to_their_end_where_they_cannot_be_renewed() {
        assert_eq!(twice(None).await, (true, 1));
        assert_eq!(twice(Some(Duration::from_secs(3600))).await, (true, 1));
        assert_eq!(twice(Some(MARGIN / 2)).await, (true, 2), "they are to be renewed, and still last");
        assert_eq!(twice(Some(Duration::ZERO)).await, (false, 2));
    }
}
