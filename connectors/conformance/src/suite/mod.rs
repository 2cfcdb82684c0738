//! The cases, and the macros that make one test of each.
//!
//! A case panics where a promise is broken and says which: the clauses are those of the delivery contract. It never
//! passes because a remote "cannot": that needs a waiver with a reason.

mod cases;
pub mod docs;
pub mod egress;
pub mod ingress;

use std::future::Future;
use std::time::Duration;

pub use cases::Case;

/// Every case of an ingress.
pub const INGRESS: &[Case] = crate::ingress_cases! { case_list };
/// Every case of an egress.
pub const EGRESS: &[Case] = crate::egress_cases! { case_list };

/// Whether a case hurts the remote, which then must be nobody else's.
#[must_use]
pub fn hurts(case: &str) -> bool {
    INGRESS
        .iter()
        .chain(EGRESS)
        .any(|one| one.name == case && one.hurts)
}

/// How long a case may wait for one thing before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connector may take to return when it is told to stop; the router's own limit is longer.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// How long nothing must happen for a case to believe that nothing will.
const QUIET: Duration = Duration::from_millis(300);

/// Waits for something that must happen.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    within(PATIENCE, what, work).await
}

/// Waits for something that must happen within a time.
async fn within<T>(limit: Duration, what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(limit, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {limit:?}"),
    }
}

/// Waits until `holds`, which a remote can only be asked now and then.
async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    soon(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// A remote that cannot do what the case asks for needs a waiver.
#[track_caller]
fn must(name: &str, can: bool, what: &str) {
    assert!(can, "{name} cannot {what}, and does not waive this case");
}

/// Prints a waiver; whether there is one.
fn is_waived(name: &str, case: &str, reason: Option<&str>) -> bool {
    if let Some(reason) = reason {
        say(&format!("{name}: {case} is waived: {reason}"));
    }
    reason.is_some()
}

/// A line of the test's own output.
#[expect(
    clippy::print_stdout,
    reason = "the suite runs in tests only, and cargo keeps what they print"
)]
fn say(line: &str) {
    println!("{line}");
}
