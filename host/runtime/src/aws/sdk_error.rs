//! The SDK's errors as data: code, message, and whether trying again can help.

use std::error::Error as StdError;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::AwsError;

/// Codes after which the same call may succeed; others may only where the answer was a 5xx.
const RETRYABLE: [&str; 9] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "ProvisionedThroughputExceededException",
    "InternalServerException",
    "InternalServerError",
    "ServiceUnavailable",
];

/// Converts an error of any operation. The message is a chain of reasons; the answer's body is never in it,
/// because that of `AssumeRole` holds credentials.
pub fn convert<E>(error: SdkError<E, HttpResponse>) -> AwsError
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    let own =
        |code: &str, error: &dyn StdError| AwsError { code: code.into(), message: reasons(error), retryable: true };
    match &error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            if status < 400 {
                return AwsError::malformed("the answer doesn't match the documented format");
            }
            let code = context.err().code().map_or_else(|| format!("HTTP{status}"), str::to_owned);
            let retryable = status >= 500 || RETRYABLE.contains(&code.as_str());
            let message = context.err().message().unwrap_or("AWS returned no message").to_owned();
            AwsError { code, message, retryable }
        }
        SdkError::TimeoutError(_) => own(AwsError::TIMEOUT, &error),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => own(AwsError::TIMEOUT, &error),
        SdkError::DispatchFailure(failure) if failure.is_io() => own(AwsError::NETWORK, &error),
        SdkError::ResponseError(_) => AwsError::malformed("the answer doesn't match the documented format"),
        _ => own(AwsError::NOT_SENT, &error),
    }
}

/// What comes before a whole request, its body and so an external id included, in the SDK's message about an
/// endpoint that can't be used.
const REQUEST: &str = "` to request `";

/// An error's reasons, outermost first, each once.
pub(crate) fn reasons(error: &dyn StdError) -> String {
    let say = |error: &dyn StdError| {
        let text = error.to_string();
        text.split_once(REQUEST).map_or(text.clone(), |(before, _)| format!("{before}`"))
    };
    let mut text = say(error);
    let mut next = error.source();
    while let Some(reason) = next {
        let reason_text = say(reason);
        if !text.contains(&reason_text) {
            text.push_str(": ");
            text.push_str(&reason_text);
        }
        next = reason.source();
    }
    text
}
