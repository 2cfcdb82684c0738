use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{RetryBudget, Tokens};
use crate::delivery::rate::Rate;

fn budget(share: f64, events: u32, per_s: u64) -> RetryBudget {
    RetryBudget {
        share,
        floor: Rate::steady(events, Duration::from_secs(per_s)),
    }
}

#[test]
fn it_begins_with_ten_seconds_of_its_floor_and_keeps_no_more() {
    let now = Instant::now();
    let mut tokens = Tokens::new(RetryBudget::default(), now);
    assert_eq!(tokens.available(now), 100);
    tokens.spend(100, now);
    assert_eq!(tokens.available(now), 0);
    assert_eq!(tokens.due(now), now + Duration::from_millis(100));
    assert_eq!(tokens.available(now + Duration::from_secs(3)), 30);
    assert_eq!(tokens.available(now + Duration::from_secs(3600)), 100);
}

#[test]
fn a_floor_of_less_than_one_in_ten_seconds_keeps_one() {
    let now = Instant::now();
    let mut tokens = Tokens::new(budget(0.0, 1, 3600), now);
    assert_eq!(tokens.available(now), 1);
    tokens.spend(1, now);
    assert_eq!(tokens.due(now), now + Duration::from_secs(3600));
}

#[test]
fn five_first_attempts_earn_a_retry_and_a_thousand_are_kept() {
    let now = Instant::now();
    let mut tokens = Tokens::new(RetryBudget::default(), now);
    tokens.spend(100, now);
    tokens.earn(4);
    assert_eq!(tokens.available(now), 0);
    tokens.earn(1);
    assert_eq!(tokens.available(now), 1);
    assert_eq!(tokens.due(now), now, "it is there already");
    tokens.earn(u32::MAX);
    assert_eq!(tokens.available(now), 1000);
}

#[test]
fn what_comes_back_by_itself_is_spent_first() {
    let now = Instant::now();
    let mut tokens = Tokens::new(budget(1.0, 1, 1), now);
    tokens.earn(3);
    tokens.spend(11, now);
    assert_eq!(tokens.available(now), 2, "ten of the floor, one earned");
}

#[test]
fn another_budget_keeps_what_there_is_as_far_as_it_holds_it() {
    let now = Instant::now();
    let mut tokens = Tokens::new(budget(1.0, 10, 1), now);
    tokens.earn(7);
    tokens.configure(budget(0.5, 2, 1), now);
    assert_eq!(tokens.available(now), 27);
    tokens.earn(2);
    assert_eq!(tokens.available(now), 28);
}

#[derive(Clone, Debug)]
enum Act {
    Send(u32),
    Retry(u32),
    Pass(u64),
}

proptest! {
    /// C23: over any time, retries are at most the share of the traffic, the floor, and ten seconds of the floor.
    #[test]
    fn retries_stay_within_the_share_and_the_floor(
        share in 0u32..=10,
        floor in 1u32..50,
        acts in proptest::collection::vec(prop_oneof![
            (1u32..200).prop_map(Act::Send),
            (1u32..200).prop_map(Act::Retry),
            (1u64..5_000).prop_map(Act::Pass),
        ], 0..80),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut tokens = Tokens::new(budget(f64::from(share) / 10.0, floor, 1), now);
        let (mut firsts, mut retries) = (0u64, 0u64);
        for act in acts {
            match act {
                Act::Send(count) => {
                    tokens.earn(count);
                    firsts += u64::from(count);
                }
                Act::Retry(wanted) => {
                    let count = wanted.min(tokens.available(now));
                    prop_assert!(count > 0 || tokens.due(now) > now, "a token is due only where there is none");
                    tokens.spend(count, now);
                    retries += u64::from(count);
                }
                Act::Pass(ms) => now += Duration::from_millis(ms),
            }
            let millis = u64::try_from((now - start).as_millis()).unwrap_or(u64::MAX);
            let bound = firsts * u64::from(share) * 100 + u64::from(floor) * (millis + 10_000);
            prop_assert!(retries * 1000 <= bound, "{retries} retries, {firsts} firsts, {millis} ms");
        }
    }
}
