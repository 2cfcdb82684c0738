use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Bucket, Rate};

const NANO: Duration = Duration::from_nanos(1);

fn rate(events: u32, per_ms: u64, burst: u32) -> Rate {
    Rate {
        events,
        per: Duration::from_millis(per_ms),
        burst,
    }
}

#[test]
fn a_full_bucket_gives_its_burst_at_once_and_then_its_rate() {
    let now = Instant::now();
    let mut bucket = Bucket::new(rate(10, 1000, 3), now);
    assert_eq!(bucket.available(now), 3);
    bucket.take(3);
    assert_eq!(bucket.available(now), 0);
    assert_eq!(bucket.due(now), now + Duration::from_millis(100));
    assert_eq!(bucket.available(now + Duration::from_millis(250)), 2);
    bucket.take(2);
    assert_eq!(
        bucket.due(now + Duration::from_millis(250)),
        now + Duration::from_millis(300),
        "the half token is kept"
    );
}

#[test]
fn a_pause_fills_it_and_no_further() {
    let now = Instant::now();
    let mut bucket = Bucket::new(rate(1000, 1000, 7), now);
    bucket.take(7);
    assert_eq!(bucket.available(now + Duration::from_secs(3600)), 7);
    bucket.take(7);
    assert_eq!(bucket.available(now + Duration::from_secs(3600)), 0);
}

#[test]
fn a_clock_that_is_behind_brings_nothing_twice() {
    let now = Instant::now();
    let mut bucket = Bucket::new(rate(1, 1000, 5), now);
    bucket.take(5);
    let later = now + Duration::from_secs(2);
    assert_eq!(bucket.available(later), 2);
    assert_eq!(bucket.available(now), 2);
    assert_eq!(bucket.available(later), 2);
}

#[test]
fn another_rate_keeps_whole_tokens_as_far_as_it_holds_them() {
    let now = Instant::now();
    let mut bucket = Bucket::new(rate(10, 1000, 5), now);
    bucket.take(1);
    bucket.configure(rate(1, 3_600_000, 9), now);
    assert_eq!(bucket.available(now), 4);
    bucket.configure(rate(1, 1000, 2), now);
    assert_eq!(bucket.available(now), 2);
}

#[test]
fn the_burst_that_goes_without_saying_is_a_tenth_of_a_second_and_at_least_one() {
    for (events, per, burst) in [(200, 1, 20), (5, 1, 1), (60_000, 60, 100), (1, 3600, 1)] {
        assert_eq!(Rate::steady(events, Duration::from_secs(per)).burst, burst);
    }
}

proptest! {
    /// Whoever takes all there is each time it is due gets exactly what the rate says, however it divides.
    #[test]
    fn the_next_token_is_due_to_the_nanosecond_and_none_is_gained_or_lost(
        // Up to one in a nanosecond, which the clock can tell apart.
        events in 1u32..1_000_000,
        per_ms in prop_oneof![Just(1u64), Just(1000), Just(60_000), 1u64..86_400_000],
        burst in 2u32..10,
        steps in 1usize..60,
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut bucket = Bucket::new(rate(events, per_ms, burst), start);
        let mut taken = u128::from(burst);
        bucket.take(burst);
        for _ in 0..steps {
            let due = bucket.due(now);
            prop_assert!(due > now);
            prop_assert_eq!(bucket.clone().available(due - NANO), 0);
            now = due;
            let there = bucket.available(now);
            prop_assert!(there >= 1);
            bucket.take(there);
            taken += u128::from(there);
            let brought = (now - start).as_nanos() * u128::from(events) / (u128::from(per_ms) * 1_000_000);
            prop_assert_eq!(taken, u128::from(burst) + brought);
        }
    }
}
