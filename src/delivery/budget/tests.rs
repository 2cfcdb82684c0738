use std::sync::Arc;
use std::task::{Context, Waker};

use super::Budget;
use crate::delivery::origin::Port;
use crate::metrics::Metrics;

fn port() -> Arc<Port> {
    Arc::new(Port::new("in".into(), Metrics::new().ingress("in"), false))
}

fn nudged(port: &Port) -> bool {
    let claim = port.mailbox.claim();
    port.mailbox
        .poll_take(claim, &mut Vec::new(), &mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[test]
fn it_takes_what_fits_and_no_more() {
    let budget = Budget::new(10);
    assert!(budget.try_charge(6) && !budget.try_charge(5) && budget.try_charge(4));
    assert_eq!((budget.used(), budget.left()), (10, 0));
    budget.charge(5);
    assert_eq!((budget.used(), budget.left()), (15, 0));
    budget.free(15);
    assert_eq!(budget.left(), 10);
}

#[test]
fn whoever_gets_less_than_it_wants_is_nudged_at_the_next_free_and_only_then() {
    let (budget, waits, content) = (Budget::new(10), port(), port());
    budget.charge(6);
    assert_eq!(budget.share_or_wait(0, 2, &content), 2);
    assert_eq!(budget.share_or_wait(0, 5, &waits), 2);
    assert_eq!(budget.share_or_wait(2, 5, &waits), 1);
    assert!(!nudged(&waits));
    budget.free(1);
    assert!(nudged(&waits) && !nudged(&content));
    budget.free(1);
    assert!(!nudged(&waits), "it did not ask again");
}

#[test]
fn whoever_holds_as_much_as_is_free_gets_no_more_and_the_next_one_still_finds_some() {
    let budget = Budget::new(1200);
    let mut holders = [0u64; 3];
    // Each takes what it may until it may take no more: a half, then thirds, then quarters are left to the next.
    for holder in &mut holders {
        while budget.share(*holder) > 0 {
            let more = budget.share(*holder);
            assert!(budget.try_charge(more));
            *holder += more;
        }
        assert!(
            budget.left().abs_diff(*holder) <= 1,
            "{holder} of {}",
            budget.left()
        );
    }
    assert!(holders[0] >= 599 && budget.left() >= 149, "{holders:?}");
}

#[test]
fn a_reload_changes_the_bound_and_not_what_is_taken() {
    let budget = Budget::new(10);
    assert!(budget.try_charge(8));
    budget.set_max(5);
    assert_eq!((budget.left(), budget.try_charge(1)), (0, false));
    budget.set_max(20);
    assert_eq!(budget.left(), 12);
}
