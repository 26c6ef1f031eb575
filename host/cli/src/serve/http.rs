//! `GET /healthz` and `GET /metrics`, for health checks and monitoring, beside the console's pages.

use hyper::StatusCode;
use staging_sync_console::{Extra, Reply};

use super::prometheus;
use super::state::{self, Shared};

/// What answers them.
pub struct Monitoring(pub Shared);

impl Extra for Monitoring {
    fn answer(&self, path: &str) -> Option<Reply> {
        match path {
            "/metrics" => {
                Some(Reply::new(StatusCode::OK, prometheus::CONTENT_TYPE, prometheus::text(&state::of(&self.0))))
            }
            "/healthz" => {
                let health = state::of(&self.0).health();
                let status = if health.is_good() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                let text = serde_json::to_string(&health).unwrap_or_default() + "\n";
                Some(Reply::new(status, "application/json", text))
            }
            _ => None,
        }
    }
}
