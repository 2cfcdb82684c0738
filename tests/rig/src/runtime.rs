//! The runtime on which the rig's servers and clients live, apart from the test's own: a test that blocks its only
//! thread must not stop the receiver that it waits for.

use std::future::Future;
use std::sync::{OnceLock, mpsc};

use tokio::runtime::{Builder, Runtime};

/// The one runtime of this process; it is never shut down.
pub(crate) fn get() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("rig")
            .enable_all()
            .build()
            .expect("starting the rig's runtime")
    })
}

/// Runs a future there and blocks until it is done. Not `block_on`: that panics inside another runtime.
#[track_caller]
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, answer) = mpsc::sync_channel(1);
    get().spawn(async move {
        let _ = done.send(future.await);
    });
    answer
        .recv()
        .expect("the task of the rig panicked; its message stands above")
}
