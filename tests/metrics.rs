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
