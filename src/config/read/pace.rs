//! What the types cannot say about `rate`, `retry.budget` and `dedupe`.

use std::collections::BTreeSet;
use std::time::Duration;

use weft_api::config::{Finding, Node};

use super::super::keys::{Budget, Dedupe, DestinationKeys, Rate};
use super::Reader;

/// The times in which a rate may count.
const PER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(24 * 3600));
/// The shortest and the longest memory of deliveries.
const WINDOW: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(7 * 24 * 3600));
/// Most deliveries that may be remembered.
const ENTRIES_MAX: u32 = 10_000_000;
/// Most attributes that make up an identity.
const NAMES_MAX: usize = 8;
/// What a bucket must hold at least: timers wake no more often than each millisecond, and may be late by one.
const BURST_MIN: Duration = Duration::from_millis(2);

impl Reader<'_> {
    pub(super) fn pace_keys(&mut self, entry: &Node, keys: &DestinationKeys) {
        if let (Some(node), Some(rate)) = (entry.get("rate"), &keys.rate) {
            self.rate(node, rate);
        }
        let budget = entry.get("retry").and_then(|retry| retry.get("budget"));
        if let (Some(node), Budget::On { share, floor }) = (budget, &keys.retry.budget) {
            if !(0.0..=1.0).contains(share) {
                let what = format!("a share of {share} is none: a first attempt earns 0 to 1 of a retry");
                let at = node.get("share").unwrap_or(node);
                self.findings.push(Finding::error(
                    at,
                    what,
                    "for example `share: 0.2`, or `budget: off`",
                ));
            }
            if let Some(node) = node.get("floor") {
                self.rate(node, floor);
                if floor.burst.is_some() {
                    let what = "the floor keeps ten seconds' worth: it has no `burst`";
                    self.findings
                        .push(Finding::error(node, what, "leave `burst` out"));
                }
            }
        }
        if let (Some(node), Some(dedupe)) = (entry.get("dedupe"), &keys.dedupe) {
            self.dedupe(node, dedupe);
        }
    }

    fn rate(&mut self, node: &Node, rate: &Rate) {
        let per = rate.per.get();
        if per < PER.0 || per > PER.1 {
            let what = format!("a rate counts within 1ms to 24h, and this is {}", rate.per);
            let at = node.get("per").unwrap_or(node);
            self.findings
                .push(Finding::error(at, what, "for example `per: 1s`"));
            return;
        }
        let needed = (u128::from(rate.events.get()) * BURST_MIN.as_nanos()).div_ceil(per.as_nanos());
        if let Some(burst) = rate.burst
            && u128::from(burst.get()) < needed
        {
            let what = format!(
                "with a burst of {burst} the rate would never be reached: clocks tick each millisecond"
            );
            let at = node.get("burst").unwrap_or(node);
            self.findings.push(Finding::error(
                at,
                what,
                format!("at least `burst: {needed}`, or leave it out"),
            ));
        }
    }

    fn dedupe(&mut self, node: &Node, dedupe: &Dedupe) {
        let at = |key: &str| node.get(key).unwrap_or(node);
        let window = dedupe.window.get();
        if window < WINDOW.0 || window > WINDOW.1 {
            let what = format!(
                "a delivery is remembered for 1s to 7d, and this is {}",
                dedupe.window
            );
            self.findings
                .push(Finding::error(at("window"), what, "for example `window: 10m`"));
        }
        if dedupe.max_entries.get() > ENTRIES_MAX {
            let what = format!("more than {ENTRIES_MAX} entries would take more than 400 MiB");
            self.findings.push(Finding::error(
                at("max_entries"),
                what,
                "remember fewer, or shorter",
            ));
        }
        if dedupe.by.is_empty() || dedupe.by.len() > NAMES_MAX {
            let what = format!("an identity is made of 1 to {NAMES_MAX} attributes");
            self.findings
                .push(Finding::error(at("by"), what, "for example `by: [source, id]`"));
        }
        let mut seen = BTreeSet::new();
        for name in &dedupe.by {
            let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
            if name.is_empty() || !plain || name == "data" {
                let what = format!("`{}` cannot be the name of an attribute", super::bounded(name));
                let remedy = "names have letters a-z and digits only, for example `by: [source, id]`";
                self.findings.push(Finding::error(at("by"), what, remedy));
            } else if !seen.insert(name) {
                let what = format!("`{name}` is named twice");
                self.findings.push(Finding::error(at("by"), what, "name it once"));
            }
        }
    }
}
