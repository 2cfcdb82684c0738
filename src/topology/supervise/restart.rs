//! The wait between a connector's lives, and what the last one died of.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinError;
use tokio::time::Instant;
use weft_api::status::{Health, Report};

use super::Order;
use crate::delivery::breaker::backoff;
use crate::topology::report::Post;

const RESTART_INITIAL: Duration = Duration::from_millis(200);
const RESTART_MAX: Duration = Duration::from_secs(30);
/// A connector that ran this long starts its backoff anew.
const RESTART_FORGET: Duration = Duration::from_secs(60);

/// The wait between a connector's lives.
pub(super) struct Failures {
    count: u32,
    rng: fastrand::Rng,
}

impl Failures {
    /// None yet; `seed` makes the jitter repeatable.
    pub(super) fn new(seed: u64) -> Failures {
        Failures {
            count: 0,
            rng: fastrand::Rng::with_seed(seed),
        }
    }

    pub(super) async fn wait(
        &mut self,
        result: Result<(), String>,
        started: Instant,
        life: u64,
        post: &Post,
        orders: &mut watch::Receiver<Order>,
    ) {
        let ordered = *orders.borrow() != Order::Run(life) || orders.has_changed().is_err();
        let why = match result {
            // It was to end, and how it took that delays nobody.
            Ok(()) | Err(_) if ordered => return,
            Ok(()) => "the connector returned by itself".to_owned(),
            Err(why) => why,
        };
        if started.elapsed() >= RESTART_FORGET {
            self.count = 0;
        }
        let wait = backoff(RESTART_INITIAL, RESTART_MAX, self.count, self.rng.f64());
        self.count = self.count.saturating_add(1);
        post.health(Health::Waiting(why));
        tokio::select! {
            // An order first: where it comes together with the end of the wait, it is not to be missed.
            biased;
            _ = orders.changed() => orders.mark_changed(),
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// A task's end as one result; a panic is an error like any other.
pub(super) fn flatten(ended: Result<Result<(), String>, JoinError>) -> Result<(), String> {
    match ended {
        Ok(result) => result,
        Err(error) if error.is_panic() => {
            let panic = error.into_panic();
            let text = panic.downcast_ref::<&str>().map(ToString::to_string);
            let text = text
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            Err(format!(
                "the connector panicked ({text}): this is a fault of Weft, please report it"
            ))
        }
        Err(_) => Err("the connector's task was cancelled".to_owned()),
    }
}
