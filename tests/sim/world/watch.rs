//! Looks at every bound now and then while a case runs (C21).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::POLL;
use super::router::Seen;
use crate::case::{Case, HEALED};

/// One line for each bound that was ever passed. Where setups differ, the widest bound counts.
pub(super) fn watch(
    case: &Case,
    seen: Seen,
    overruns: Arc<Mutex<BTreeMap<String, String>>>,
) -> JoinHandle<()> {
    let windows = case.setups[0].ingresses.iter().enumerate().map(|(number, _)| {
        let widest = case.ingress(number).map(|it| it.window_events).max().unwrap_or(0);
        u64::from(widest) * u64::from(case.kind(number).lanes)
    });
    // An ingress that is reopened while former events of it are in flight may have a window of either life out.
    let lives = 1 + case.trouble.len() as u64;
    let windows = windows.sum::<u64>() * lives;
    let lanes: u32 = (0..case.setups[0].ingresses.len())
        .map(|at| case.kind(at).lanes)
        .sum();
    let largest = case.load.iter().map(|load| load.event.size()).max().unwrap_or(0);
    let budget = case.setups.iter().map(|setup| setup.budget).max().unwrap_or(0);
    // An empty in-order or individual lane may always move one event, whatever the budget says.
    let budget_max = budget + largest * u64::from(lanes);
    let bound = |at: usize| {
        let events = case.destination(at).map(|it| it.queue_events).max().unwrap_or(0);
        let in_flight = case
            .destination(at)
            .map(|it| it.client.in_flight)
            .max()
            .unwrap_or(0);
        (events + windows, in_flight)
    };
    let bounds: Vec<_> = (0..case.sinks.len()).map(bound).collect();
    let start = Instant::now();
    tokio::spawn(async move {
        let note = |what: String, found: String| {
            let line = format!("{what}: {found}");
            let mut overruns = overruns.lock().expect("nobody panics with it");
            overruns.entry(what).or_insert(line);
        };
        loop {
            let (budget, destinations) = seen.lock().expect("nobody panics with it").clone();
            if budget.used() > budget_max {
                let found = format!("{} of {budget_max}", budget.used());
                note("the budget holds".to_owned(), found);
            }
            for (number, destination) in &destinations {
                let (events_max, in_flight_max) = bounds[*number];
                let standing = destination.standing();
                if standing.pending_events > events_max {
                    let found = format!("{} of {events_max}", standing.pending_events);
                    note(format!("d{number}'s queue keeps to its bound"), found);
                }
                if standing.in_flight > in_flight_max {
                    let found = format!("{} of {in_flight_max}", standing.in_flight);
                    note(format!("d{number} is given no more than in_flight"), found);
                }
            }
            let healed = start.elapsed() > HEALED;
            sleep(if healed { POLL } else { Duration::from_millis(7) }).await;
        }
    })
}
