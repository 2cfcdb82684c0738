//! One of eight destinations stands still, and the other seven go on: where each is fed by a lane of its own, and where
//! all are fed from one HTTP ingress (C14, C21). At what rate is measured elsewhere; here they come to their end while
//! the eighth has not moved.

use weft_rig::eventually;

use crate::ballast::{Ballast, Weight};
use crate::event;
use crate::flow::{End, Flow};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::support::LIMIT;

const DESTINATIONS: usize = 8;
/// Senders that want to fill all memory with events for the one that stands still, of this size: twice what there is.
const GREEDY: usize = 400;
const GREEDY_BYTES: usize = 300 * 1024;

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    [End::Kafka, End::Http]
        .map(|from| {
            let flow = Flow::shared(from, &[End::Http; DESTINATIONS]);
            Scenario::new("one of eight destinations stalled", flow)
                .events(16_000)
                .prepare(|run| {
                    for section in &mut run.file.destinations {
                        *section = section.replace(" }", ", timeout: 120s }");
                    }
                })
                .strikes(1, stall)
                .always()
        })
        .to_vec()
}

/// One stands still until the others have everything that they are owed.
fn stall(run: &mut Run<'_>) {
    let stalled = run.random.usize(..DESTINATIONS);
    run.sink(stalled).hold(true);
    let ballast = (run.from.end == End::Http).then(|| {
        let weight = Weight {
            bytes: GREEDY_BYTES,
            attributes: vec![("partitionkey", event::key(stalled))],
        };
        let ballast = Ballast::start(run.from.port, GREEDY, &weight);
        eventually("events that find no room", LIMIT, || {
            (ballast.refused() > 0).then_some(())
        });
        ballast
    });
    let others = |account: &crate::ledger::Account| {
        (0..DESTINATIONS).all(|leg| leg == stalled || account.has_all(leg))
    };
    let went_on = run.wait_until(others);
    let came: Vec<usize> = run
        .ledger
        .read(|account| account.legs.iter().map(|leg| leg.distinct).collect());
    if !went_on {
        let log = run.weft().log().tail();
        panic!("out-{stalled} stands still, and so do others: {came:?}; the log:\n{log}");
    }
    assert!(
        !run.ledger.read(|account| account.has_all(stalled)),
        "void: out-{stalled} never stood still"
    );
    drop(ballast);
    run.sink(stalled).hold(false);
}
