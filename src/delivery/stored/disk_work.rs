//! Who does what waits for the disk.

use std::time::Duration;

use tokio::task::JoinHandle;

/// See the module.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum DiskWork {
    /// Threads: no worker of the runtime waits for a disk.
    #[default]
    Threads,
    /// Tasks of the runtime, one after the other, on a disk that makes nobody wait. What happens in which order is then the
    /// runtime's alone to say.
    Tasks {
        /// How long a round of the store takes.
        round: Duration,
    },
}

impl DiskWork {
    /// Does this beside what the caller does.
    pub fn run<T: Send + 'static>(self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match self {
            DiskWork::Threads => tokio::task::spawn_blocking(work),
            DiskWork::Tasks { .. } => tokio::spawn(async move { work() }),
        }
    }
}
