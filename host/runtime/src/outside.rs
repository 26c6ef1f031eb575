//! Work that an instance waits for, done outside its stack.
//!
//! A host function runs on the stack of the instance that called it, which is made for each instance and given back after it.
//! AWS calls need many times the stack that a policy needs; on the task's own they find memory that is there already.

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

/// Work, without its result.
type Work = BoxFuture<'static, ()>;

/// Where an instance's host functions leave work.
#[derive(Clone)]
pub(crate) struct Outside(mpsc::UnboundedSender<Work>);

impl Outside {
    /// Has some work done. `None`: whoever does it is gone, and with it the instance.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (done, result) = oneshot::channel();
        let work = Box::pin(async move {
            let _ = done.send(work.await); // nobody waits any longer if the instance has ended
        });
        self.0.send(work).ok()?;
        result.await.ok()
    }
}

/// Runs an instance, and what it leaves outside.
pub(crate) async fn with<T>(instance: impl AsyncFnOnce(Outside) -> T) -> T {
    let (sender, mut receiver) = mpsc::unbounded_channel::<Work>();
    let instance = instance(Outside(sender));
    let mut instance = std::pin::pin!(instance);
    loop {
        tokio::select! {
            biased;
            done = &mut instance => return done,
            Some(work) = receiver.recv() => work.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_before_the_instance_goes_on() {
        let sum = with(async |outside| {
            let first = outside
                .run(async {
                    tokio::task::yield_now().await;
                    2
                })
                .await;
            let second = outside.run(async move { first.unwrap_or_default() + 3 }).await;
            second.unwrap_or_default()
        });
        assert_eq!(sum.await, 5);
    }

    #[tokio::test]
    async fn work_without_an_instance_is_told() {
        let mut kept = None;
        with(async |outside| kept = Some(outside)).await;
        assert_eq!(kept.expect("a handle").run(async { 1 }).await, None);
    }
}
