use std::time::Duration;

use tokio::time::Instant;

use super::{Breaker, BreakerSettings, BreakerState, backoff, full_jitter};

const SETTINGS: BreakerSettings = BreakerSettings {
    failures: 3,
    initial: Duration::from_secs(1),
    max: Duration::from_secs(8),
};

fn fails(breaker: &mut Breaker, now: Instant) -> bool {
    breaker.failed(now, None, false, None, 1.0)
}

fn opened(now: Instant) -> Breaker {
    let mut breaker = Breaker::new(SETTINGS);
    assert!(breaker.failed(now, None, true, None, 1.0));
    breaker
}

fn until(breaker: &Breaker) -> Instant {
    match breaker.state() {
        BreakerState::Open { until } => until,
        other => panic!("{other:?}"),
    }
}

#[test]
fn closed_opens_after_failures_in_a_row_and_no_success_between() {
    let (mut breaker, now) = (Breaker::new(SETTINGS), Instant::now());
    assert!(!fails(&mut breaker, now) && !fails(&mut breaker, now));
    breaker.succeeded();
    assert!(!fails(&mut breaker, now) && !fails(&mut breaker, now));
    assert!(fails(&mut breaker, now));
    assert_eq!(until(&breaker), now + Duration::from_secs(1));
    assert!(!fails(&mut breaker, now), "it opens once");
}

#[test]
fn one_poisonous_event_alone_never_opens_it_but_several_do() {
    let (mut breaker, now) = (Breaker::new(SETTINGS), Instant::now());
    for _ in 0..50 {
        assert!(!breaker.failed(now, Some(7), false, None, 0.0));
    }
    assert!(!breaker.failed(now, Some(8), false, None, 0.0));
    assert!(breaker.failed(now, Some(7), false, None, 0.0));
}

#[test]
fn open_becomes_probing_only_when_its_time_has_come() {
    let now = Instant::now();
    let mut breaker = opened(now);
    assert!(!breaker.start_probe(now + Duration::from_millis(999)));
    assert!(breaker.start_probe(now + Duration::from_secs(1)));
    assert_eq!(breaker.state(), BreakerState::Probing);
    assert!(
        !breaker.start_probe(now + Duration::from_secs(9)),
        "one probe at a time"
    );
}

#[test]
fn a_failed_probe_opens_again_for_longer_up_to_the_longest() {
    let mut now = Instant::now();
    let mut breaker = opened(now);
    for wait in [2, 4, 8, 8] {
        now = until(&breaker);
        assert!(breaker.start_probe(now));
        assert!(!fails(&mut breaker, now), "no new opening");
        assert_eq!(until(&breaker) - now, Duration::from_secs(wait));
    }
}

#[test]
fn a_success_closes_from_any_state_and_begins_a_new_life() {
    let now = Instant::now();
    let mut breaker = opened(now);
    assert_eq!(breaker.opened_at(), Some(now));
    breaker.succeeded();
    assert_eq!(
        (breaker.state(), breaker.life(), breaker.opened_at()),
        (BreakerState::Closed, 1, None)
    );
    breaker.succeeded();
    assert_eq!(breaker.life(), 1, "it was closed: the same life");
    let mut breaker = opened(now);
    assert!(breaker.start_probe(now + Duration::from_secs(1)));
    breaker.succeeded();
    assert_eq!((breaker.state(), breaker.life()), (BreakerState::Closed, 1));
}

#[test]
fn the_remotes_wait_is_honoured_within_bounds() {
    let now = Instant::now();
    for (asked, given) in [(5, 5), (0, 1), (86_400, 60)] {
        let mut breaker = Breaker::new(SETTINGS);
        breaker.failed(now, None, true, Some(Duration::from_secs(asked)), 1.0);
        assert_eq!(until(&breaker) - now, Duration::from_secs(given));
    }
}

#[test]
fn backoff_grows_within_its_bounds() {
    let (initial, max) = (Duration::from_millis(100), Duration::from_secs(1));
    assert_eq!(backoff(initial, max, 0, 1.0), initial);
    assert_eq!(backoff(initial, max, 0, 0.0), initial / 2);
    assert_eq!(backoff(initial, max, 2, 1.0), initial * 4);
    assert_eq!(backoff(initial, max, u32::MAX, 1.0), max);
    assert_eq!(full_jitter(initial, max, 3, 0.0), Duration::ZERO);
    assert_eq!(full_jitter(initial, max, u32::MAX, 1.0), max);
}

#[test]
fn a_failure_at_once_after_the_probe_was_due_opens_it_for_longer() {
    let now = Instant::now();
    let mut breaker = opened(now);
    assert!(!breaker.failed(now, None, true, None, 1.0));
    assert_eq!(until(&breaker), now + Duration::from_secs(1), "not due yet");
    let due = until(&breaker);
    assert!(!breaker.failed(due, None, true, None, 1.0), "it has been open");
    assert_eq!(until(&breaker), due + Duration::from_secs(2));
}
