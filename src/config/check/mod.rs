//! What only the whole file shows: names that lead nowhere, circles, addresses that collide, parts that nobody uses.
//!
//! Invariant: each check looks at everything, so that all mistakes are told at once. Pure; changes nothing.

mod groups;
mod listen;
mod names;
mod routes;
mod shared;
mod store;
mod unused;

use weft_api::config::{Finding, Severity};

use super::read::Draft;

pub(super) use groups::groups;
pub(super) use routes::{enabled, leads_back};

/// Adds the findings of every check.
pub(super) fn check(draft: &Draft, findings: &mut Vec<Finding>) {
    names::check(draft, findings);
    groups::check(draft, findings);
    routes::check(draft, findings);
    listen::check(draft, findings);
    shared::check(draft, findings);
    store::check(draft, findings);
    // Next to a mistake, what seems unused may be what was meant.
    if findings
        .iter()
        .all(|finding| finding.severity == Severity::Warning)
    {
        unused::check(draft, findings);
        store::warn(draft, findings);
        shared::warn(draft, findings);
    }
}
