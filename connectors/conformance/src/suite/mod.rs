//! The cases, and the macros that make one test of each.
//!
//! A case panics where a promise is broken and says which: the clauses are those of the delivery contract.

pub mod egress;
pub mod ingress;

use std::future::Future;
use std::time::Duration;

/// How long a case may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing must happen for a case to believe that nothing will.
const QUIET: Duration = Duration::from_millis(300);

/// Waits for something that must happen.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
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

/// One test of each case for an ingress. `$make` is an expression of a future that gives a fresh [`crate::IngressSubject`].
#[macro_export]
macro_rules! ingress_suite {
    ($make:expr) => {
        $crate::each_case! { ingress, $make,
            what_comes_in_is_what_was_sent
            nothing_is_acknowledged_before_it_is_settled
            what_was_released_is_not_acknowledged_and_comes_again
            no_more_is_taken_than_the_window_allows
            one_key_comes_in_its_order
            a_cut_connection_loses_nothing
            what_was_unsettled_at_a_stop_comes_to_the_next_life
        }
    };
}

/// One test of each case for an egress. `$make` is an expression of a future that gives a fresh [`crate::EgressSubject`].
#[macro_export]
macro_rules! egress_suite {
    ($make:expr) => {
        $crate::each_case! { egress, $make,
            what_arrives_is_what_was_given
            one_key_arrives_in_its_order
            a_full_window_is_settled_once_each
            a_refusal_is_the_events_fault
            a_failure_is_an_attempt
            an_overload_is_the_destinations_fault
            silence_may_have_delivered
            a_remote_that_is_gone_has_taken_nothing_and_is_found_again
            a_drained_egress_settles_all_and_returns
            a_stopped_egress_confirms_nothing_that_the_remote_did_not
        }
    };
}

/// Used by the two suites.
#[doc(hidden)]
#[macro_export]
macro_rules! each_case {
    ($side:ident, $make:expr, $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let subject = $make.await;
                $crate::suite::$side::$case(&subject).await;
            }
        )*
    };
}
