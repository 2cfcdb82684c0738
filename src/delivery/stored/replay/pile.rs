//! Where the letters of a job lie, and how one leaves: a log of this router's store, or what a destination holds.
//!
//! Invariant: a letter is there until [`Pile::remove`], and what was removed is gone for good once [`Pile::close`] has
//! ended well. Does not know: what becomes of a letter in between.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use weft_api::browse::Browse;

use super::letter::Selection;
use super::remote::Remote;
use super::scan::{Found, Look, Scan};
use crate::delivery::stored::DurableQueue;
use crate::delivery::stored::letters::AtWork;

/// How long the notes of what left a log may take to be on the disk, and how often that is looked at.
const WRITTEN_MAX: Duration = Duration::from_secs(10);
const WRITTEN_EVERY: Duration = Duration::from_millis(5);

/// See the module.
pub struct Pile {
    lies: Lies,
    /// There is nothing more to look at.
    over: bool,
    looking: bool,
    /// Something was removed.
    less: bool,
}

enum Lies {
    Here {
        queue: Arc<DurableQueue>,
        _at_work: AtWork,
        /// `None` while it looks.
        scan: Option<Box<Scan>>,
        looking: Option<JoinHandle<(Box<Scan>, io::Result<Found>)>>,
    },
    There(Remote),
}

impl Pile {
    /// What `scan` finds in the log of `queue`.
    #[must_use]
    pub fn here(queue: Arc<DurableQueue>, scan: Scan) -> Pile {
        Pile::new(Lies::Here {
            _at_work: AtWork::on(&queue),
            queue,
            scan: Some(Box::new(scan)),
            looking: None,
        })
    }

    /// What is meant of that which a destination holds.
    #[must_use]
    pub fn there(browse: Arc<dyn Browse>, selection: Selection) -> Pile {
        Pile::new(Lies::There(Remote::new(browse, selection)))
    }

    fn new(lies: Lies) -> Pile {
        Pile {
            lies,
            over: false,
            looking: false,
            less: false,
        }
    }

    /// Whether there is nothing more to look at.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over && !self.looking
    }

    /// Nothing more is of interest.
    pub fn is_enough(&mut self) {
        self.over = true;
    }

    /// Begins to look on, unless it does already, or nothing is left; [`Pile::looked`] tells.
    pub fn look(&mut self, look: Look) {
        if self.over || self.looking {
            return;
        }
        match &mut self.lies {
            Lies::Here {
                queue, scan, looking, ..
            } => {
                let Some(mut scan) = scan.take() else { return };
                *looking = Some(queue.work.run(move || {
                    let found = scan.next(look);
                    (scan, found)
                }));
            }
            Lies::There(remote) => remote.look(look),
        }
        self.looking = true;
    }

    /// What the look found. Cancel-safe; waits for ever where nothing looks.
    ///
    /// # Errors
    /// It failed, in one line, and nothing more is found here; what is found already can still leave.
    pub async fn looked(&mut self) -> Result<Found, String> {
        if !self.looking {
            std::future::pending::<()>().await;
        }
        let found = match &mut self.lies {
            Lies::Here { scan, looking, .. } => {
                let looked = match looking {
                    Some(looking) => looking.await,
                    None => std::future::pending().await,
                };
                *looking = None;
                match looked {
                    Ok((back, found)) => {
                        *scan = Some(back);
                        found.map_err(|error| format!("reading the log: {error}"))
                    }
                    Err(_) => Err("looking through the log panicked, which is a fault of Weft".to_owned()),
                }
            }
            Lies::There(remote) => remote.looked().await,
        };
        self.looking = false;
        self.over = !matches!(&found, Ok(Found { next: Some(_), .. }));
        found
    }

    /// A letter leaves.
    pub fn remove(&mut self, id: u64) {
        self.less = true;
        match &self.lies {
            Lies::Here { queue, .. } => queue.log.acknowledge(id..id + 1),
            Lies::There(remote) => remote.remove(id),
        }
    }

    /// So many left because an operator took them out: a log's books know that end.
    pub fn purged(&self, count: u64) {
        if let Lies::Here { queue, .. } = &self.lies {
            queue.metrics.purged.inc_by(count);
        }
    }

    /// Ends it.
    ///
    /// # Errors
    /// What left may come again: how many, and why.
    pub async fn close(self) -> Result<(), String> {
        match self.lies {
            Lies::Here { queue, .. } if self.less => written(&queue).await,
            Lies::Here { .. } => Ok(()),
            Lies::There(remote) => remote.close().await,
        }
    }
}

/// Waits until a crash cannot bring back what has left.
async fn written(queue: &DurableQueue) -> Result<(), String> {
    let end = Instant::now() + WRITTEN_MAX;
    while queue.log.unwritten() > 0 {
        if Instant::now() >= end {
            return Err(
                "what left the log is not noted on the disk, and may come again after a crash: look at the disk".to_owned(),
            );
        }
        tokio::time::sleep(WRITTEN_EVERY).await;
    }
    Ok(())
}
