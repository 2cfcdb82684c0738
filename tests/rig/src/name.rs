//! Names that nobody else has: topics, queues, client ids and groups of one test.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A name that no other test, process or earlier run has; `label` makes it readable. Letters, digits and `-` only.
///
/// ```
/// assert_ne!(weft_rig::unique("orders"), weft_rig::unique("orders"));
/// ```
#[must_use]
pub fn unique(label: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH
        .elapsed()
        .expect("the clock is past 1970")
        .as_micros();
    format!(
        "{label}-{}-{now:x}-{}",
        process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}
