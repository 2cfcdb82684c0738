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
    assert_eq!(budget.left_or_wait(4, &content), 4);
    assert_eq!(budget.left_or_wait(5, &waits), 4);
    assert_eq!(budget.left_or_wait(5, &waits), 4);
    assert!(!nudged(&waits));
    budget.free(1);
    assert!(nudged(&waits) && !nudged(&content));
    budget.free(1);
    assert!(!nudged(&waits), "it did not ask again");
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
