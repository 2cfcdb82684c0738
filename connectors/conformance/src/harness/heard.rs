//! What a connector reports about itself, kept for the test.

use std::sync::Mutex;

use weft_api::status::{Health, Report};

use super::locked;

/// Keeps the last health; forgets the rest.
pub(super) struct Heard(Mutex<Health>);

impl Heard {
    pub(super) fn new() -> Heard {
        Heard(Mutex::new(Health::Starting))
    }

    pub(super) fn health(&self) -> Health {
        locked(&self.0).clone()
    }
}

impl Report for Heard {
    fn health(&self, health: Health) {
        *locked(&self.0) = health;
    }
    fn lag(&self, _: Option<u64>) {}
    fn dropped(&self, _: &'static str, _: u64) {}
    fn warn(&self, _: String) {}
}
