//! What a store stands on: a disk with its clocks, and who waits for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};
use weft_store::Driver;
use weft_store::disk::{Disk, Real};

use crate::delivery::leg::Leg;
pub use crate::delivery::stored::DiskWork;

/// See the module. By default the machine's own, and threads.
pub struct Ground {
    /// The file system, and the clocks of its machine.
    pub disk: Arc<dyn Disk>,
    /// Who waits for it.
    pub work: DiskWork,
}

impl Default for Ground {
    fn default() -> Ground {
        Ground {
            disk: disk(),
            work: DiskWork::Threads,
        }
    }
}

/// The task that takes the rounds of a store without threads; ends with this.
pub(super) struct Driving(pub(super) JoinHandle<()>);

impl Driving {
    pub(super) fn start(driver: Driver<Leg>, round: Duration) -> Driving {
        Driving(tokio::spawn(drive(driver, round)))
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn drive(mut driver: Driver<Leg>, round: Duration) {
    let bell = Arc::new(Notify::new());
    let rung = Arc::clone(&bell);
    driver.on_ring(move || rung.notify_one());
    loop {
        let due = driver.turn();
        if driver.is_over() {
            return;
        }
        tokio::select! {
            biased;
            // What comes while a round goes on is the next one's.
            () = bell.notified() => sleep(round).await,
            () = until(due.map(Instant::from_std)) => {}
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The machine's own, with places at which tests end the process.
fn disk() -> Arc<dyn Disk> {
    #[cfg(feature = "crash-points")]
    return Arc::new(super::points::Points(Real));
    #[cfg(not(feature = "crash-points"))]
    return Arc::new(Real);
}
