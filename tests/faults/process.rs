//! The router's own process is hurt: killed, frozen.

use crate::flow::{End, Flow};
use crate::scenario::Scenario;

/// Kills in one run.
const KILLS: usize = 3;

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let flows = [Flow::new(End::Http, &[End::Kafka])];
    flows
        .map(|flow| {
            Scenario::new("kill -9 of Weft", flow)
                .strikes(KILLS, |run| run.kill_weft())
                .always()
        })
        .to_vec()
}
