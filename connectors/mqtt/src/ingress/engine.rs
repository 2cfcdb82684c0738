//! The one task of an ingress: settlements first, then each session in turn.
//!
//! Invariants: nothing here waits for one thing alone; a turn of a session is one read, so that none of them starves the others or the
//! settlements. Every session is looked at in each turn, which costs tens of nanoseconds for one that has nothing to say.
//! Turned down: a task a session. Lanes belong to one task, and a hand-over between tasks costs more than a message.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use weft_api::ingress::{IngressContext, IngressError, LaneEvent, LaneId};
use weft_api::status::{Health, Reporter};
use weft_api::stop::Stop;

use super::Plan;
use super::desk::Desk;
use super::session::{Session, Standing};
use crate::mapping::Mapper;

/// Settlements that are applied before the sessions have their turn.
const BURST: usize = 1024;

/// Runs until the router says stop.
pub(super) async fn run(plan: Arc<Plan>, cx: IngressContext) -> Result<(), IngressError> {
    let stop: Stop = cx.stop;
    let (mut stopped, mut draining) = (pin!(stop.stopped()), pin!(stop.draining()));
    let mut engine = Engine::new(&plan, cx.lanes, cx.report);
    loop {
        tokio::select! {
            biased;
            () = &mut stopped => break,
            () = &mut draining, if !engine.desk.draining => engine.drain(),
            () = std::future::poll_fn(|cx| engine.poll(cx)) => {}
        }
        engine.report();
    }
    engine.end().await;
    Ok(())
}

struct Engine {
    desk: Desk,
    sessions: Vec<Session>,
    report: Reporter,
    told: Standing,
}

impl Engine {
    fn new(plan: &Arc<Plan>, lanes: weft_api::ingress::Lanes, report: Reporter) -> Engine {
        let mapper = Mapper::new(plan.mapping.clone());
        Engine {
            desk: Desk::new(lanes, report.clone(), mapper, plan.loose_name(), plan.window),
            sessions: (0..plan.section.sessions)
                .map(|number| Session::new(plan, number))
                .collect(),
            report,
            told: Standing::Starting,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut busy = false;
        for _ in 0..BURST {
            let said = pin!(self.desk.lanes.next()).poll(cx);
            let Poll::Ready((lane, event)) = said else { break };
            self.said(lane, event);
            busy = true;
        }
        for session in &mut self.sessions {
            busy |= session.poll(cx, &mut self.desk).is_ready();
        }
        if busy { Poll::Ready(()) } else { Poll::Pending }
    }

    fn said(&mut self, lane: LaneId, event: LaneEvent) {
        let of_lane = |session: &&mut Session| session.lane.is_some_and(|id| id.index == lane.index);
        let Some(session) = self.sessions.iter_mut().find(of_lane) else {
            // The lane of QoS 0, which nobody waits for.
            return;
        };
        match event {
            LaneEvent::Rewind { .. } => session.rewound(lane, &mut self.desk),
            _ if session.lane != Some(lane) => {}
            LaneEvent::Credit => session.credited(&mut self.desk),
            LaneEvent::Settled { first, last, outcome } => {
                session.settled((last + 1).saturating_sub(first), outcome, &mut self.desk);
            }
        }
    }

    fn drain(&mut self) {
        self.desk.draining = true;
        for session in &mut self.sessions {
            session.drain(&mut self.desk);
        }
    }

    /// Says how the whole stands: ready when every session is; else the first that is not.
    fn report(&mut self) {
        let worst = self
            .sessions
            .iter()
            .map(|session| &session.standing)
            .reduce(|a, b| match (a, b) {
                (Standing::Waiting(_), _) | (Standing::Starting, Standing::Ready) => a,
                (_, b) if *b != Standing::Ready => b,
                _ => a,
            });
        let Some(worst) = worst.filter(|worst| **worst != self.told && !self.desk.draining) else {
            return;
        };
        match worst {
            Standing::Starting => {}
            Standing::Ready => self.report.health(Health::Ready),
            Standing::Waiting(line) => self.report.health(Health::Waiting(line.clone())),
        }
        self.told = worst.clone();
    }

    /// Closes every lane and says goodbye to the broker.
    async fn end(mut self) {
        self.desk.draining = true;
        // What was settled before the stop is still acknowledged.
        while let Some((lane, event)) = self.desk.lanes.try_next() {
            self.said(lane, event);
        }
        for session in &mut self.sessions {
            session.stop(&mut self.desk);
        }
        self.desk.close_loose();
        std::future::poll_fn(|cx| {
            for session in &mut self.sessions {
                while session.poll(cx, &mut self.desk).is_ready() {}
            }
            if self.sessions.iter().all(Session::is_over) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}
