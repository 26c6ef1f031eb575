//! STS: sessions of the target accounts' roles, each assumed once and reused until it expires.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};

use super::{Aws, AwsError, HashMap, Lease, Principal, Request};
use crate::account::{Role, Session};

/// The session's name, as CloudTrail shows it in the target accounts.
pub const SESSION_NAME: &str = "staging-account-sync";

/// How long before its end a session is no longer used: longer than any single account takes.
const SESSION_MARGIN: Duration = Duration::from_secs(300);

impl Aws {
    /// The session of a role for this policy; `assume` makes sure that there is one.
    pub(super) fn session(&self, role: &Role) -> Arc<Session> {
        Arc::new(Session { role: role.clone(), policy: Arc::clone(&self.session_policy) })
    }

    /// Makes sure that the session lasts. Costs a call only where it doesn't.
    pub(super) async fn assume(&self, session: &Arc<Session>) -> Result<(), AwsError> {
        let known = self.leases().get(session).copied();
        if known.is_some_and(|lease| self.aws_api.now() + SESSION_MARGIN < lease.until) {
            return Ok(());
        }
        let Session { role, policy } = &**session;
        let request = Request::AssumeRole {
            role_arn: role.arn.clone(),
            role_session_name: SESSION_NAME.into(),
            external_id: role.external_id.clone(),
            policy: Arc::clone(policy),
        };
        let doing = format!("AssumeRole of {}", role.arn);
        let answer = self.call(None, Principal::Host, request).await.map_err(|error| error.while_doing(&doing))?;
        let until = answer["Credentials"]["Expiration"]
            .as_str()
            .and_then(|text| DateTime::from_str(text, Format::DateTime).ok())
            .and_then(|time| SystemTime::try_from(time).ok())
            .ok_or_else(|| AwsError::malformed("expected Credentials.Expiration").while_doing(&doing))?;
        self.leases().insert(Arc::clone(session), Lease { until, accepted: false });
        Ok(())
    }

    /// Drops a session that AWS no longer knows, or that isn't worth keeping.
    pub(super) fn drop_session(&self, session: &Arc<Session>) {
        self.leases().remove(session);
    }

    /// Remembers that a region has accepted a session's credentials.
    pub(super) fn accepted(&self, session: &Arc<Session>) {
        if let Some(lease) = self.leases().get_mut(session) {
            lease.accepted = true;
        }
    }

    /// Whether a region has ever accepted a session's credentials.
    pub(super) fn was_accepted(&self, session: &Arc<Session>) -> bool {
        self.leases().get(session).is_some_and(|lease| lease.accepted)
    }

    fn leases(&self) -> MutexGuard<'_, HashMap<Arc<Session>, Lease>> {
        self.known.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
