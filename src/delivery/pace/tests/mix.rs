//! All three at once under whatever may come: nothing is lost, stuck or sent twice.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;
use weft_api::egress::{Batch, EgressProfile};
use weft_api::outcome::{Reason, SendError};

use super::{Duration, deliver, ms, start};
use crate::delivery::dedupe::DedupeSettings;
use crate::delivery::rate::Rate;
use crate::delivery::retry_budget::RetryBudget;
use crate::testing::{Draft, event, failed, ids, keyed, pass, to};

#[derive(Clone, Debug)]
enum Act {
    Deliver(Vec<(u8, Option<u8>)>),
    Take,
    /// The batch that many places in.
    Accept(usize),
    Fail(usize, u8),
    Drop(usize),
    Pass(u64),
    Sweep,
    Dedupe(bool),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = (0u8..6, proptest::option::of(0u8..4));
    proptest::collection::vec(
        prop_oneof![
            4 => proptest::collection::vec(one, 1..6).prop_map(Act::Deliver),
            5 => Just(Act::Take),
            3 => any::<usize>().prop_map(Act::Accept),
            3 => (any::<usize>(), 0u8..3).prop_map(|(pick, how)| Act::Fail(pick, how)),
            1 => any::<usize>().prop_map(Act::Drop),
            3 => (1u64..2_000).prop_map(Act::Pass),
            1 => Just(Act::Sweep),
            1 => any::<bool>().prop_map(Act::Dedupe),
        ],
        0..80,
    )
}

fn settings() -> DedupeSettings {
    DedupeSettings {
        by: vec!["id".into()],
        window: Duration::from_secs(100_000),
        max_entries: 1000,
    }
}

fn error(how: u8) -> SendError {
    match how {
        0 => failed(),
        1 => SendError::destination(Reason::Timeout, "timeout").maybe_delivered(),
        _ => SendError::destination(Reason::Unauthorised, "401"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_lost_stuck_or_confirmed_twice(acts in acts(), pipelined: bool, reloads: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let draft = Draft::new(&["a"]).route(to("a")).settings("a", |s| {
                s.retry.attempts = 1_000_000;
                s.retry.budget = Some(RetryBudget {
                    share: 0.1,
                    floor: Rate::steady(1, Duration::from_secs(5)),
                });
                s.rate = Some(Rate { events: 50, per: Duration::from_secs(1), burst: 3 });
                s.dedupe = Some(settings());
            });
            let (world, mut lanes, lane) = start(draft);
            let destination = world.destination("a");
            let profile = EgressProfile {
                batch_events: 4,
                batch_bytes: u64::MAX,
                in_flight: 9,
                keeps_order_or_fails: pipelined,
            };
            let mut a = world.remote_with("a", profile);
            let mut out: Vec<Batch> = Vec::new();
            let mut confirmed: HashMap<String, u32> = HashMap::new();
            let mut wanted = HashSet::new();
            let mut always = true;
            let finish = (0..400).flat_map(|_| [Act::Pass(4_000), Act::Take, Act::Accept(0)]);
            let finish = [Act::Dedupe(true)].into_iter().chain(finish);
            for act in acts.into_iter().chain(finish) {
                match act {
                    Act::Deliver(events) => {
                        wanted.extend(events.iter().map(|(id, _)| id.to_string()));
                        deliver(&mut lanes, lane, events.into_iter().map(|(id, key)| match key {
                            Some(key) => keyed(&id.to_string(), &key.to_string()),
                            None => event(&id.to_string()),
                        }));
                    }
                    Act::Take => out.extend(a.take()),
                    Act::Accept(pick) if !out.is_empty() => {
                        let batch = out.remove(pick % out.len());
                        for id in ids(&batch) {
                            *confirmed.entry(id).or_default() += 1;
                        }
                        batch.accept_all();
                    }
                    Act::Fail(pick, how) if !out.is_empty() => out.remove(pick % out.len()).fail_rest(&error(how)),
                    Act::Drop(pick) if !out.is_empty() => drop(out.remove(pick % out.len())),
                    Act::Pass(time) => pass(ms(time)).await,
                    Act::Sweep => destination.sweep(),
                    Act::Dedupe(on) if reloads => {
                        always &= on;
                        let mut settings_now = (**destination.settings()).clone();
                        settings_now.dedupe = on.then(settings);
                        destination.configure(settings_now);
                    }
                    _ => {}
                }
                while lanes.try_next().is_some() {}
                prop_assert!(out.iter().map(|batch| batch.events().len()).sum::<usize>() <= 9);
            }
            for id in &wanted {
                prop_assert!(confirmed.contains_key(id), "{} is lost", id);
            }
            if always {
                prop_assert!(confirmed.values().all(|count| *count == 1), "sent twice: {:?}", confirmed);
            }
            world.assert_at_rest();
            Ok(())
        })?;
    }
}
