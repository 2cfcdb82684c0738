//! What a destination holds, as the letters of a job: its browser in a task of its own.
//!
//! Of its own, so that letters can leave while it looks for more, and so that it ends in good order whatever becomes of the
//! job. Invariants
//! - What was asked for first is done first; letters leave before the browser ends.
//! - At most one look is under way, and so at most a window of letters waits to leave.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use weft_api::browse::{Browse, BrowseError};

use super::hunt::Hunt;
use super::letter::Selection;
use super::scan::{Found, Look};

/// How long the browser may take to end, with what has left.
const CLOSE_MAX: Duration = Duration::from_secs(15);

/// See the module.
pub struct Remote {
    asks: mpsc::UnboundedSender<Ask>,
    found: mpsc::UnboundedReceiver<Result<Found, String>>,
    task: JoinHandle<Result<(), String>>,
    what: String,
}

enum Ask {
    Look(Look),
    Remove(u64),
}

impl Remote {
    /// Takes out what is meant. Connects in its own time: what goes wrong then is the answer to the first look.
    #[must_use]
    pub fn new(browse: Arc<dyn Browse>, selection: Selection) -> Remote {
        let (asks, asked) = mpsc::unbounded_channel();
        let (tell, found) = mpsc::unbounded_channel();
        Remote {
            what: browse.address(),
            task: tokio::spawn(work(browse, selection, asked, tell)),
            asks,
            found,
        }
    }

    /// Begins to look on; [`Remote::looked`] tells.
    pub fn look(&self, look: Look) {
        // A task that is gone says so there.
        let _ = self.asks.send(Ask::Look(look));
    }

    /// What the look found. Cancel-safe; waits for ever where nothing was asked.
    ///
    /// # Errors
    /// The look failed, and there is no other.
    pub async fn looked(&mut self) -> Result<Found, String> {
        let gone = || format!("looking through {} panicked, which is a fault of Weft", self.what);
        self.found.recv().await.unwrap_or_else(|| Err(gone()))
    }

    /// A letter leaves, for good once [`Remote::close`] has ended well.
    pub fn remove(&self, place: u64) {
        let _ = self.asks.send(Ask::Remove(place));
    }

    /// Ends it, when all that leaves has left.
    ///
    /// # Errors
    /// What left may be there still.
    pub async fn close(self) -> Result<(), String> {
        drop(self.asks);
        match self.task.await {
            Ok(closed) => closed,
            Err(_) => Err(format!(
                "taking out of {} panicked, which is a fault of Weft: what left may come again",
                self.what
            )),
        }
    }
}

async fn work(
    browse: Arc<dyn Browse>,
    selection: Selection,
    mut asks: mpsc::UnboundedReceiver<Ask>,
    tell: mpsc::UnboundedSender<Result<Found, String>>,
) -> Result<(), String> {
    let mut wanted = None;
    // Nothing can leave before something was found.
    let given_up = async {
        while let Some(ask) = asks.recv().await {
            if let Ask::Look(look) = ask {
                wanted = Some((look, Found::default()));
            }
        }
    };
    let opened = tokio::select! {
        biased;
        () = given_up => return Ok(()),
        opened = browse.take() => opened,
    };
    let browser = match opened {
        Ok(browser) => browser,
        Err(error) => {
            let _ = tell.send(Err(error.to_string()));
            return Ok(());
        }
    };
    let mut hunt = Hunt::new(Arc::clone(&browse), browser, selection);
    loop {
        tokio::select! {
            // Letters leave first: that is never waited for.
            biased;
            ask = asks.recv() => match ask {
                Some(Ask::Look(look)) => wanted = Some((look, Found::default())),
                Some(Ask::Remove(place)) => hunt.browser.remove(place),
                None => break,
            },
            looked = next(&mut hunt, &mut wanted) => {
                let found = wanted.take().map(|(_, found)| found).unwrap_or_default();
                let _ = tell.send(looked.map(|()| found).map_err(|error| error.to_string()));
            }
        }
    }
    match timeout(CLOSE_MAX, hunt.browser.close()).await {
        Ok(closed) => closed.map_err(|error| error.to_string()),
        Err(_) => Err(format!(
            "ending with {}: no answer within {} s; what left may be there still, and come again",
            browse.address(),
            CLOSE_MAX.as_secs()
        )),
    }
}

/// What is wanted; waits for ever where nothing is.
async fn next(hunt: &mut Hunt, wanted: &mut Option<(Look, Found)>) -> Result<(), BrowseError> {
    match wanted {
        Some((look, found)) => hunt.next(*look, found).await,
        None => std::future::pending().await,
    }
}
