//! STS: sessions of the target accounts' roles, one `AssumeRole` each for as long as it lasts.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_types::date_time::{DateTime, Format};

use super::{Aws, AwsError, Principal, Request};
use crate::account::Role;

/// The session's name, as CloudTrail shows it in the target accounts.
const SESSION_NAME: &str = "staging-account-sync";

/// How long before its end a session is no longer used: longer than any single account takes.
const SESSION_MARGIN: Duration = Duration::from_secs(300);

impl Aws {
    /// Makes sure that there's a session of the role. Costs a call only where there's none that lasts.
    pub(super) async fn assume(&self, role: &Arc<Role>) -> Result<(), AwsError> {
        let known = self.sessions.lock().unwrap_or_else(PoisonError::into_inner).get(role).copied();
        if known.is_some_and(|until| self.door.now() + SESSION_MARGIN < until) {
            return Ok(());
        }
        let request = Request::AssumeRole {
            role_arn: role.arn.clone(),
            role_session_name: SESSION_NAME.into(),
            external_id: role.external_id.clone(),
            policy: self.session_policy.clone(),
        };
        let doing = format!("AssumeRole of {}", role.arn);
        let answer = self.call(None, Principal::Host, request).await.map_err(|error| error.while_doing(&doing))?;
        let until = answer["Credentials"]["Expiration"]
            .as_str()
            .and_then(|text| DateTime::from_str(text, Format::DateTime).ok())
            .and_then(|time| SystemTime::try_from(time).ok())
            .ok_or_else(|| AwsError::malformed("expected Credentials.Expiration").while_doing(&doing))?;
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(Arc::clone(role), until);
        Ok(())
    }

    /// Forgets the role's session, because AWS says that it has expired.
    pub(super) fn forget(&self, role: &Arc<Role>) {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).remove(role);
    }
}
