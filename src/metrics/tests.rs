#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use weft_api::outcome::{Fault, Outcome, Reason};

fn series<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn the_same_name_gives_the_same_counter() {
    let metrics = Metrics::new();
    metrics.ingress("web").events.inc();
    metrics.ingress("web").events.inc();
    assert_eq!(
        series(&metrics.render(), "weft_ingress_events_total"),
        ["weft_ingress_events_total{ingress=\"web\"} 2"]
    );
}

#[test]
fn every_family_that_is_scraped_is_in_the_list_and_the_other_way_round() {
    let metrics = Metrics::new();
    metrics.ingress("web").lag.set(Some(1));
    drop(metrics.ingress("web").dropped_by_rule("tombstone"));
    drop(metrics.destination("crm"));
    drop(metrics.log("crm"));
    drop(metrics.store());
    drop(metrics.route("all"));
    let text = metrics.render();
    let scraped: Vec<&str> = series(&text, "# TYPE ")
        .iter()
        .map(|line| line.split(' ').nth(2).unwrap())
        .collect();
    let mut listed: Vec<&str> = families::ALL.iter().map(|family| family.name).collect();
    listed.sort_unstable();
    assert_eq!(scraped, listed);
    for family in families::ALL {
        assert!(
            text.contains(&format!("# TYPE {} {}\n", family.name, family.kind.as_str())),
            "{}",
            family.name
        );
    }
}

#[test]
fn a_forgotten_name_leaves_no_series_behind() {
    let metrics = Metrics::new();
    let web = metrics.ingress("web");
    web.lag.set(Some(7));
    web.dropped_by_rule("tombstone").inc();
    metrics
        .destination("crm")
        .failed(Fault::Event, Reason::Expired)
        .inc();
    metrics.route("all").matched.inc();
    let before = metrics.render();
    for label in ["\"web\"", "\"crm\"", "\"all\""] {
        assert!(before.contains(label), "{label}");
    }
    metrics.forget_ingress("web");
    metrics.forget_destination("crm");
    metrics.forget_route("all");
    let after = metrics.render();
    for label in ["\"web\"", "\"crm\"", "\"all\""] {
        assert!(!after.contains(label), "{label} is still in\n{after}");
    }
    web.events.inc();
    assert_eq!(
        metrics.ingress("web").events.get(),
        0,
        "a name that comes back starts at 0"
    );
}

#[test]
fn an_unknown_lag_is_absent_not_zero() {
    let metrics = Metrics::new();
    let web = metrics.ingress("web");
    assert!(series(&metrics.render(), "weft_ingress_lag_events").is_empty());
    web.lag.set(Some(12));
    assert_eq!(
        series(&metrics.render(), "weft_ingress_lag_events"),
        ["weft_ingress_lag_events{ingress=\"web\"} 12"]
    );
    web.lag.set(None);
    assert!(series(&metrics.render(), "weft_ingress_lag_events").is_empty());
}

#[test]
fn each_outcome_and_each_reason_has_its_own_counter() {
    let metrics = Metrics::new();
    let web = metrics.ingress("web");
    let crm = metrics.destination("crm");
    let outcomes = [
        Outcome::Accepted,
        Outcome::Rejected(Reason::Refused),
        Outcome::Released(Reason::Refused),
        Outcome::Unknown(Reason::Refused),
    ];
    for (index, outcome) in outcomes.into_iter().enumerate() {
        web.settled(outcome).inc_by(index as u64 + 1);
    }
    for (index, reason) in Reason::ALL.iter().enumerate() {
        web.refused(*reason).inc_by(index as u64 + 1);
        for (row, fault) in [Fault::Event, Fault::Attempt, Fault::Destination]
            .into_iter()
            .enumerate()
        {
            crm.failed(fault, *reason).inc_by((row * 100 + index + 1) as u64);
        }
    }
    let text = metrics.render();
    for (index, outcome) in outcomes.into_iter().enumerate() {
        let word = outcome.as_str();
        let line = format!(
            "weft_ingress_settled_total{{ingress=\"web\",outcome=\"{word}\"}} {}\n",
            index + 1
        );
        assert!(text.contains(&line), "{line}");
    }
    for (index, reason) in Reason::ALL.iter().enumerate() {
        let line = format!(
            "weft_ingress_refused_total{{ingress=\"web\",reason=\"{reason}\"}} {}\n",
            index + 1
        );
        assert!(text.contains(&line), "{line}");
        for (row, fault) in ["event", "attempt", "destination"].into_iter().enumerate() {
            let labels = format!("destination=\"crm\",fault=\"{fault}\",reason=\"{reason}\"");
            let line = format!(
                "weft_destination_failed_total{{{labels}}} {}\n",
                row * 100 + index + 1
            );
            assert!(text.contains(&line), "{line}");
        }
    }
}

#[test]
fn computed_gauges_are_refreshed_before_each_scrape() {
    let metrics = Metrics::new();
    let crm = metrics.destination("crm");
    let waiting = Arc::new(AtomicI64::new(3));
    let seen = waiting.clone();
    metrics.on_scrape(Box::new(move || {
        crm.pending_events.set(seen.load(Ordering::Relaxed))
    }));
    assert!(
        metrics
            .render()
            .contains("weft_destination_pending_events{destination=\"crm\"} 3\n")
    );
    waiting.store(5, Ordering::Relaxed);
    assert!(
        metrics
            .render()
            .contains("weft_destination_pending_events{destination=\"crm\"} 5\n")
    );
}
