//! Who the environment's credentials belong to (STS `GetCallerIdentity`), for records of what people did.

use std::time::Duration;

use aws_sdk_sts as sts;

use super::environment;
use super::sdk_api::{Patience, sdk_from_env};
use super::sdk_error::reasons;

/// How long the answer may take: nobody's work waits for a name.
const TIME: Duration = Duration::from_secs(5);

/// The ARN of the caller. Fails with the reason, for people, where it can't be told.
pub async fn arn() -> Result<String, String> {
    let ask = async {
        let http = environment::http_client(1).await.map_err(|error| error.message)?;
        let config = sdk_from_env(http, Patience::default()).await.map_err(|error| error.message)?;
        let answer = sts::Client::new(&config).get_caller_identity().send().await;
        let arn = answer.map_err(|error| reasons(&error))?.arn;
        arn.ok_or_else(|| "AWS: GetCallerIdentity answered without an ARN".to_owned())
    };
    tokio::time::timeout(TIME, ask).await.map_err(|_| format!("no answer of STS in {} s", TIME.as_secs()))?
}
