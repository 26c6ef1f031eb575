//! The connections that are open: when there are too many, the oldest one that asks for nothing makes room.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::AbortHandle;

/// So many connections at once: ticks keep the process's file descriptors.
const MOST: usize = 64;

/// One connection: whether it's being answered.
#[derive(Clone, Default)]
pub struct Connection(Arc<AtomicUsize>);

/// An answer that is being made.
pub struct Busy(Connection);

/// All of them, the oldest first.
#[derive(Default)]
pub struct Connections(Mutex<VecDeque<(Connection, AbortHandle)>>);

impl Connection {
    /// Is being answered until what this returns is dropped.
    pub fn busy(&self) -> Busy {
        self.0.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    fn is_busy(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connections {
    /// Takes a new connection in. Where there are too many, the oldest one ends that isn't being answered, so that clients
    /// that send nothing keep nobody out; and where all are being answered, the new one does.
    pub fn add(&self, connection: Connection, task: AbortHandle) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(_, task)| !task.is_finished());
        if all.len() >= MOST {
            match all.iter().position(|(connection, _)| !connection.is_busy()) {
                Some(place) => all.remove(place).iter().for_each(|(_, idle)| idle.abort()),
                None => return task.abort(),
            }
        }
        all.push_back((connection, task));
    }
}
