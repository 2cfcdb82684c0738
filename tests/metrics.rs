//! The metrics as the outside sees them: clean for promtool, and as `docs/metrics.md` describes them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use weft::metrics::{Metrics, families};
use weft_api::outcome::Reason;

fn full() -> String {
    let metrics = Metrics::new();
    let web = metrics.ingress("web");
    web.lag.set(Some(1));
    web.dropped_by_rule("tombstone").inc();
    for reason in Reason::ALL {
        web.refused(*reason).inc();
    }
    metrics.destination("crm").oldest.set(0.5);
    metrics.log("crm").oldest.set(0.5);
    let _ = metrics.log("local");
    metrics.store().left.set(1);
    metrics.route("all").matched.inc();
    metrics.render()
}

#[test]
fn promtool_has_nothing_to_say() {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        assert!(
            std::env::var_os("CI").is_none(),
            "promtool (Debian package prometheus) is missing"
        );
        return;
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(full().as_bytes())
        .unwrap();
    let done = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && said.is_empty(), "{said}");
}

/// A table row of `docs/metrics.md`: name, kind, labels, help.
fn row(family: &families::Family) -> String {
    let mut labels = String::new();
    for label in family.labels {
        let _ = write!(labels, "{}`{label}`", if labels.is_empty() { "" } else { ", " });
    }
    format!(
        "| `{}` | {} | {labels} | {} |",
        family.name,
        family.kind.as_str(),
        family.help
    )
}

#[test]
fn the_docs_list_every_family_and_no_other() {
    let docs = include_str!("../docs/metrics.md");
    let rows: BTreeMap<&str, &str> = docs
        .lines()
        .filter(|l| l.starts_with("| `weft_"))
        .map(|l| (l.split('`').nth(1).unwrap(), l))
        .collect();
    for family in families::ALL {
        let want = row(family);
        let got = rows.get(family.name).copied().unwrap_or("(no row)");
        assert_eq!(
            got.split_whitespace().collect::<Vec<_>>(),
            want.split_whitespace().collect::<Vec<_>>()
        );
    }
    assert_eq!(
        rows.len(),
        families::ALL.len(),
        "docs/metrics.md lists a family that does not exist"
    );
}

#[test]
fn the_docs_list_every_reason() {
    let docs = include_str!("../docs/metrics.md");
    for reason in Reason::ALL {
        assert!(
            docs.contains(&format!("| `{reason}` |")),
            "docs/metrics.md does not explain the reason {reason}"
        );
    }
}

/// Every `weft_...{label="value"}` in a text, as its name and what stands in the braces.
fn selectors(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("weft_") {
        let end = |c: char| !c.is_ascii_lowercase() && c != '_';
        let (name, after) = rest[at..].split_at(rest[at..].find(end).unwrap_or(rest[at..].len()));
        let labels = after
            .strip_prefix('{')
            .and_then(|inside| inside.split('}').next());
        found.push((name, labels.unwrap_or("")));
        rest = after;
    }
    found
}

/// Whether a router shows a series that the selector finds.
fn is_shown(text: &str, name: &str, labels: &str) -> bool {
    let is_of = |line: &&str| line.split(['{', ' ']).next() == Some(name);
    let has_all = |line: &str| labels.split(',').all(|label| line.contains(label.trim()));
    text.lines().filter(is_of).any(has_all)
}

#[test]
fn what_to_watch_names_series_that_a_router_shows() {
    let docs = include_str!("../docs/metrics.md");
    let (_, table) = docs.split_once("## What to watch").unwrap();
    let shown = full();
    let found = selectors(table);
    assert!(found.len() >= 10, "the table was not read: {found:?}");
    for (name, labels) in found {
        assert!(
            is_shown(&shown, name, labels),
            "{name}{{{labels}}} is shown by no router"
        );
    }
}

/// Where a store stands before a destination, the obligation ends as `stored`: what is dead-lettered later counts for the
/// destination and in the log of the letters, and an alert on obligations would never go off.
#[test]
fn the_alert_on_dead_letters_does_not_ask_the_books_that_a_store_closes() {
    let docs = include_str!("../docs/metrics.md");
    let row = docs.lines().find(|line| line.contains("end in the dead letter?"));
    let asked: Vec<_> = selectors(row.unwrap())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        asked,
        [
            "weft_destination_dead_lettered_total",
            "weft_store_pending_events"
        ]
    );
}
