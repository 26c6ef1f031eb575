//! The location of outcomes between segments and their merge: objects under one prefix, whatever an event says.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::document::Document;
use crate::error::{Error, ErrorKind};
use crate::event::invalid;
use crate::store::bucket::Objects;
use crate::store::location::Location;
use crate::store::{Fetched, Put, StoreError, When};

/// The size of one document, in bytes: more than any segment has that ends within an invocation.
const MAX_BYTES: u64 = 64 << 20;

/// Documents read at once: few calls, and each may be large.
const AT_ONCE: usize = 16;

/// The places that the operator allows.
pub struct OutcomeLocations {
    /// The prefix, and a place below it.
    below: Option<(String, Location)>,
}

/// One of them.
pub struct OutcomeLocation(Location);

impl OutcomeLocations {
    /// OutcomeLocations below `OUTCOMES_PREFIX`, or none at all.
    pub fn new(prefix: Option<&str>, objects: Option<Arc<Objects>>) -> Self {
        let below = prefix.and_then(|prefix| {
            let first = Location::parse(&format!("{prefix}outcomes"), objects.as_ref()).ok()?;
            Some((prefix.to_owned(), first))
        });
        Self { below }
    }

    /// The place that an event names at a JSON path.
    pub fn at(&self, path: &str, uri: &str) -> Result<OutcomeLocation, Error> {
        let Some((prefix, first)) = &self.below else {
            let message = "environment: OUTCOMES_PREFIX isn't set, so outcomes can neither be stored nor merged: deploy \
                           with ScheduleTarget=state-machine";
            return Err(Error::new(ErrorKind::ConfigurationInvalid, message));
        };
        let place = uri.strip_prefix(prefix.as_str()).and_then(|rest| first.beside(rest).ok());
        place.map(OutcomeLocation).ok_or_else(|| {
            let expected = "expected a URI below OUTCOMES_PREFIX, of letters, digits, '.', '_', '-' and '/'";
            invalid(path, &format!("{expected}, found {uri:?}"))
        })
    }

    /// Reads the documents that are at these URIs; each with its URI, in their order.
    pub async fn documents(&self, uris: &[String]) -> Result<Vec<(String, Document)>, Error> {
        let places = uris.iter().map(|uri| Ok((uri.clone(), self.at("$.segments", uri)?)));
        let places: Vec<(String, OutcomeLocation)> = places.collect::<Result<_, Error>>()?;
        let read = |(uri, place): (String, OutcomeLocation)| async move {
            let document = Document::parse(&place.get().await?);
            let document =
                document.map_err(|error| unavailable(format!("host: {uri}: doesn't contain outcomes: {error}")))?;
            Ok((uri, document))
        };
        stream::iter(places).map(read).buffered(AT_ONCE).try_collect().await
    }
}

impl OutcomeLocation {
    async fn get(&self) -> Result<Vec<u8>, Error> {
        match self.0.get(None, MAX_BYTES).await {
            Ok(Fetched::Found { bytes, .. }) => Ok(bytes),
            Ok(_) => Err(unavailable(format!("{}: the object doesn't exist: did its segment finish?", self.0))),
            Err(error) => Err(refused(&error)),
        }
    }

    /// Leaves a mark that a segment whose outcomes go here has begun. Fails where there's one already, or where that
    /// can't be told: says why nothing may be removed then.
    pub async fn first_run(&self) -> Result<(), String> {
        match self.0.with_suffix(".begun").put(Vec::new(), When::Missing).await {
            Ok(Put::Done) => Ok(()),
            Ok(Put::Changed) => {
                Err("this segment was started before in this tick, and may have used up the tick's removals; the next tick continues"
                    .into())
            }
            Err(error) => Err(format!("can't determine whether this segment was started before in this tick: {error}")),
        }
    }

    /// Puts a text there, in place of what is there.
    pub async fn put(&self, text: String) -> Result<(), Error> {
        self.0.put(text.into_bytes(), When::Always).await.map(|_| ()).map_err(|error| refused(&error))
    }
}

fn refused(error: &StoreError) -> Error {
    if error.unreachable {
        return unavailable(error.to_string()); // no permission has a say in that
    }
    unavailable(format!("{error}: check OUTCOMES_PREFIX and the permissions of these credentials"))
}

fn unavailable(message: String) -> Error {
    Error::new(ErrorKind::OutcomesUnavailable, message)
}
