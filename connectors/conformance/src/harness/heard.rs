//! What a connector reports about itself, kept for the test.

use std::collections::BTreeMap;
use std::sync::Mutex;

use weft_api::status::{Health, Report};

use super::locked;

/// Keeps the last health, every warning, and how much was dropped.
pub(super) struct Heard {
    health: Mutex<Health>,
    warnings: Mutex<Vec<String>>,
    dropped: Mutex<BTreeMap<&'static str, u64>>,
}

impl Heard {
    pub(super) fn new() -> Heard {
        Heard {
            health: Mutex::new(Health::Starting),
            warnings: Mutex::default(),
            dropped: Mutex::default(),
        }
    }

    pub(super) fn health(&self) -> Health {
        locked(&self.health).clone()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        locked(&self.warnings).clone()
    }

    pub(super) fn dropped(&self, what: &str) -> u64 {
        locked(&self.dropped).get(what).copied().unwrap_or(0)
    }
}

impl Report for Heard {
    fn health(&self, health: Health) {
        *locked(&self.health) = health;
    }
    fn lag(&self, _: Option<u64>) {}
    fn dropped(&self, what: &'static str, count: u64) {
        *locked(&self.dropped).entry(what).or_default() += count;
    }
    fn warn(&self, line: String) {
        locked(&self.warnings).push(line);
    }
}
