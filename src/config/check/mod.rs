//! What only the whole file shows: names that lead nowhere, circles, addresses that collide, parts that nobody uses.
//!
//! Invariant: each check looks at everything, so that all mistakes are told at once. Pure; changes nothing.

mod groups;
mod listen;
mod names;
mod routes;
mod unused;

use weft_api::config::Finding;

use super::read::Draft;

pub(super) use routes::{enabled, leads_back};

/// Every finding of every check.
pub(super) fn check(draft: &Draft) -> Vec<Finding> {
    let mut findings = Vec::new();
    names::check(draft, &mut findings);
    groups::check(draft, &mut findings);
    routes::check(draft, &mut findings);
    listen::check(draft, &mut findings);
    unused::check(draft, &mut findings);
    findings
}
