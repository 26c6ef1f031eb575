//! One bound for all AWS calls: an HTTP client that lets so many requests be under way and no more.
//!
//! The bound is here, below the SDK's retries, so that a call that waits before its next attempt holds no
//! place: a throttled region doesn't starve the others.

use std::fmt;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use tokio::sync::Semaphore;

/// An HTTP client whose requests wait for a place.
#[derive(Clone)]
pub struct Bounded {
    inner: SharedHttpClient,
    places: Arc<Semaphore>,
}

impl Bounded {
    /// Bounds a client to so many requests at once.
    pub fn new(inner: SharedHttpClient, places: usize) -> Self {
        Self { inner, places: Arc::new(Semaphore::new(places)) }
    }
}

impl fmt::Debug for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bounded").finish_non_exhaustive()
    }
}

impl HttpClient for Bounded {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(BoundedConnector {
            inner: self.inner.http_connector(settings, components),
            places: Arc::clone(&self.places),
        })
    }
}

struct BoundedConnector {
    inner: SharedHttpConnector,
    places: Arc<Semaphore>,
}

impl fmt::Debug for BoundedConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoundedConnector").finish_non_exhaustive()
    }
}

impl HttpConnector for BoundedConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.inner.clone();
        let places = Arc::clone(&self.places);
        HttpConnectorFuture::new(async move {
            let _place = places.acquire_owned().await.map_err(|closed| ConnectorError::other(closed.into(), None))?;
            inner.call(request).await
        })
    }
}
