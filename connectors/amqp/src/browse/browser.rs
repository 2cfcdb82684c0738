//! What the router holds of a walk: the messages that have come, and the words that go to the walk's task.
//!
//! Invariants: cancel-safe, since a message is in the channel until it is returned; dropping it ends the task, which gives back
//! what was not removed.

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use weft_api::browse::{BrowseError, Browser, Held};

use super::opening::Delivered;
use super::walk::Walk;

/// Most bytes of one answer, and one message.
const BYTES_MAX: usize = 1 << 20;

/// What a walk brings.
pub(super) enum Came {
    /// A message, and how many bytes it is counted with.
    Held(Held, usize),
    /// That was all.
    End,
    /// That is all there will be.
    Failed(BrowseError),
}

/// What a walk is told.
pub(super) enum Said {
    /// So many messages were returned, of so many bytes.
    Returned(usize, usize),
    /// The message at this place leaves.
    Remove(u64),
    /// It ends.
    Close(oneshot::Sender<Result<(), BrowseError>>),
}

/// See the module.
pub(super) struct QueueBrowser {
    came: mpsc::UnboundedReceiver<Came>,
    walk: mpsc::UnboundedSender<Said>,
    /// How it ended.
    ended: Option<Result<(), BrowseError>>,
}

impl QueueBrowser {
    /// Sets a walk going, with what came of it already.
    pub(super) fn start(walk: Walk, first: Option<Delivered>) -> QueueBrowser {
        // Both are bounded by the walk: it asks for no more while enough waits to be returned.
        let (brings, came) = mpsc::unbounded_channel();
        let (says, said) = mpsc::unbounded_channel();
        tokio::spawn(walk.run(brings, said, first));
        QueueBrowser {
            came,
            walk: says,
            ended: None,
        }
    }

    fn gone() -> BrowseError {
        BrowseError("the browser's task is gone; what was taken and not removed is still there".to_owned())
    }
}

#[async_trait]
impl Browser for QueueBrowser {
    async fn next(&mut self, most: usize) -> Result<Vec<Held>, BrowseError> {
        let mut all = Vec::new();
        let mut bytes = 0;
        if self.ended.is_none() {
            // The only wait, before anything is in hand.
            let mut came = self.came.recv().await;
            loop {
                match came {
                    Some(Came::Held(held, size)) => {
                        all.push(held);
                        bytes += size;
                    }
                    Some(Came::End) => self.ended = Some(Ok(())),
                    Some(Came::Failed(why)) => self.ended = Some(Err(why)),
                    None => self.ended = Some(Err(Self::gone())),
                }
                if self.ended.is_some() || all.len() >= most || bytes >= BYTES_MAX {
                    break;
                }
                match self.came.try_recv() {
                    Ok(next) => came = Some(next),
                    Err(_) => break,
                }
            }
        }
        if !all.is_empty() {
            let _ = self.walk.send(Said::Returned(all.len(), bytes));
            return Ok(all);
        }
        self.ended.clone().unwrap_or(Ok(())).map(|()| all)
    }

    fn remove(&mut self, place: u64) {
        let _ = self.walk.send(Said::Remove(place));
    }

    async fn close(self: Box<Self>) -> Result<(), BrowseError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.walk.send(Said::Close(answer));
        answered.await.unwrap_or_else(|_| Err(Self::gone()))
    }
}
