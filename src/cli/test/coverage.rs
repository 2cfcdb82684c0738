//! Which routes the cases of a configuration matched, and which they kept out.
//!
//! A route is covered from both sides: some case matches it, and, where it has filters, some case that comes in by an
//! ingress that it listens to does not. A route without filters keeps nothing out.

use std::sync::Arc;

use serde::Serialize;
use weft_api::config::{Node, Value};

use crate::config::{Ingress, Model};

/// How far the routes of one configuration are covered.
#[derive(Debug, Serialize)]
pub(super) struct Coverage {
    /// The files of the configuration.
    pub(super) config: Vec<String>,
    /// In percent, rounded down.
    pub(super) percent: u32,
    /// In the order of the file.
    pub(super) routes: Vec<Covered>,
}

/// One route.
#[derive(Debug, Serialize)]
pub(super) struct Covered {
    pub(super) route: String,
    /// Events that matched it.
    pub(super) matched: u32,
    /// Events that its filters kept out; `None`: it has none.
    pub(super) kept_out: Option<u32>,
}

impl Coverage {
    pub(super) fn new(config: Vec<String>, model: &Model) -> Coverage {
        let covered = |route: &crate::config::Route| Covered {
            route: route.name.to_string(),
            matched: 0,
            kept_out: route.effective.get("filters").is_some_and(is_filled).then_some(0),
        };
        Coverage {
            config,
            percent: 0,
            routes: model.routes.iter().map(covered).collect(),
        }
    }

    /// Counts an event that came in by `ingress` and matched these routes.
    pub(super) fn count(&mut self, model: &Model, ingress: &Ingress, matched: &[Arc<str>]) {
        for (covered, route) in self.routes.iter_mut().zip(&model.routes) {
            let listens = route
                .from
                .as_ref()
                .is_none_or(|from| from.contains(&ingress.name));
            if matched.contains(&route.name) {
                covered.matched += 1;
            } else if listens && let Some(kept_out) = &mut covered.kept_out {
                *kept_out += 1;
            }
        }
    }

    /// Sides that are covered, and all of them.
    pub(super) fn sides(&self) -> (u32, u32) {
        let (mut covered, mut all) = (0, 0);
        for route in &self.routes {
            all += 1 + u32::from(route.kept_out.is_some());
            covered += u32::from(route.matched > 0) + u32::from(route.kept_out.is_some_and(|out| out > 0));
        }
        (covered, all)
    }

    /// Fills in the percentage.
    pub(super) fn close(&mut self) {
        let (covered, all) = self.sides();
        self.percent = (covered * 100).checked_div(all).unwrap_or(100);
    }
}

fn is_filled(node: &Node) -> bool {
    matches!(&node.value, Value::List(items) if !items.is_empty())
}
