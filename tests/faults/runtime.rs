//! The runtime of senders and receivers, apart from the threads of the tests, which block.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The one of this process; it is never shut down.
pub(crate) fn get() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).enable_all();
        builder.build().expect("a runtime can be made")
    })
}
