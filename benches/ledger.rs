//! What the router itself costs an event and leg: the bare ledger, and the whole way through a lane, a queue and a
//! batch whose events are confirmed at once, without and with a rate and `dedupe`. One thread; nothing is sent anywhere.
//!
//! `cargo bench --bench ledger`

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use weft::delivery::batch::Outlet;
use weft::delivery::budget::Budget;
use weft::delivery::dedupe::DedupeSettings;
use weft::delivery::origin::Port;
use weft::delivery::rate::Rate;
use weft::delivery::settings::Settings;
use weft::lane::admit::{CurrentGate, Gate};
use weft::lane::books::Pulse;
use weft::lane::ledger::{Ledger, Step};
use weft::lane::stream::StreamLanes;
use weft::metrics::Metrics;
use weft::routing::filter::Predicate;
use weft::topology::build::{Living, build};
use weft::topology::spec::{
    DestinationSpec, EndpointSpec, IngressSpec, MalformedSpec, PlanSpec, RouteSpec, Spec, UnmatchedSpec,
};
use weft_api::connector::{EgressBuilder, IngressBuilder, RawMessage};
use weft_api::egress::{BatchQueue, Egress, EgressProfile};
use weft_api::event::{Event, EventBuilder};
use weft_api::ingress::{Incoming, Ingress, LaneEvent, LaneSpec, Lanes, Settle, Window};
use weft_api::outcome::Outcome;

const BATCH: u64 = 256;
const TIME: Duration = Duration::from_millis(700);

struct Nothing;

impl EgressBuilder for Nothing {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Err("the bench is the egress".to_owned())
    }

    fn address(&self) -> String {
        String::new()
    }
}

impl IngressBuilder for Nothing {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        Err("the bench is the ingress".to_owned())
    }

    fn address(&self) -> String {
        String::new()
    }

    fn explain(&self, _: &RawMessage) -> Result<Event, String> {
        Err("the bench is the ingress".to_owned())
    }
}

fn main() {
    for settle in [Settle::InOrder, Settle::Individual] {
        report(&format!("ledger, {settle:?}"), bare(settle));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _guard = runtime.enter();
    for settle in [Settle::InOrder, Settle::Individual] {
        for keyed in [false, true] {
            let what = if keyed { "with a key" } else { "without a key" };
            report(
                &format!("lane, queue and batch, {settle:?}, {what}"),
                whole(settle, keyed),
            );
        }
    }
    let events: Vec<Incoming> = (0..POOL).map(|n| event(n, false).into()).collect();
    let rate = Rate::steady(1_000_000_000, Duration::from_secs(1));
    for (what, settings) in [
        ("nothing asked for", Settings::default()),
        (
            "a rate that is never reached",
            Settings {
                rate: Some(rate),
                ..Settings::default()
            },
        ),
        ("dedupe, 1,000 remembered, all new", dedupe(1_000)),
        ("dedupe, 100,000 remembered, all new", dedupe(100_000)),
        ("dedupe, 1,000,000 remembered, all copies", dedupe(1_000_000)),
    ] {
        report(
            &format!("{POOL} events in turn, {what}"),
            in_turn(&events, settings),
        );
    }
}

/// Events that come again only once all others have come.
const POOL: u64 = 1 << 18;

fn dedupe(max_entries: u32) -> Settings {
    let dedupe = DedupeSettings {
        by: ["source", "id"].map(Into::into).into(),
        window: Duration::from_secs(3600),
        max_entries,
    };
    Settings {
        dedupe: Some(dedupe),
        ..Settings::default()
    }
}

fn in_turn(events: &[Incoming], settings: Settings) -> (u64, Duration) {
    let (mut lanes, mut outlet) = rig(settings);
    let lane = lanes.open(LaneSpec {
        name: "lane".into(),
        window: Window {
            events: 1024,
            bytes: 1 << 40,
        },
        settle: Settle::InOrder,
    });
    let mut batches = events.chunks(BATCH as usize).cycle();
    let mut batch = Vec::new();
    let mut turn = || {
        batch.extend(batches.next().into_iter().flatten().cloned());
        lanes.deliver(lane, &mut batch);
        while let Poll::Ready(Some(batch)) = outlet.poll_next(&mut Context::from_waker(Waker::noop())) {
            batch.accept_all();
        }
        while lanes.try_next().is_some() {}
    };
    (0..POOL / BATCH).for_each(|_| turn());
    timed(turn)
}

fn report(what: &str, (events, time): (u64, Duration)) {
    let ns = time.as_secs_f64() * 1e9 / events as f64;
    println!("{what:<60} {ns:>8.1} ns/event");
}

/// Runs batches until the time is up; the events and the time that they took.
fn timed(mut batch: impl FnMut()) -> (u64, Duration) {
    (0..50).for_each(|_| batch());
    let (started, mut batches) = (Instant::now(), 0);
    while started.elapsed() < TIME {
        (0..20).for_each(|_| batch());
        batches += 20;
    }
    (batches * BATCH, started.elapsed())
}

fn bare(settle: Settle) -> (u64, Duration) {
    let mut ledger = Ledger::new(
        settle,
        Window {
            events: 1024,
            bytes: 1 << 40,
        },
        0,
    );
    timed(|| {
        let first = ledger.next_seq();
        for _ in 0..BATCH {
            black_box(ledger.admit(200, 1, Outcome::Accepted, 0));
        }
        for seq in first..first + BATCH {
            if ledger.end_leg(seq, Outcome::Accepted) {
                while let (Step::Settled(run), _) = ledger.ready(seq) {
                    black_box(run);
                }
            }
        }
    })
}

fn whole(settle: Settle, keyed: bool) -> (u64, Duration) {
    let (mut lanes, mut outlet) = rig(Settings::default());
    let window = Window {
        events: 1024,
        bytes: 1 << 40,
    };
    let lane = lanes.open(LaneSpec {
        name: "lane".into(),
        window,
        settle,
    });
    let events: Vec<Incoming> = (0..BATCH).map(|n| event(n, keyed).into()).collect();
    let mut batch = Vec::new();
    timed(|| {
        batch.extend(events.iter().cloned());
        lanes.deliver(lane, &mut batch);
        while let Poll::Ready(Some(batch)) = outlet.poll_next(&mut Context::from_waker(Waker::noop())) {
            batch.accept_all();
        }
        let mut settled = 0;
        while let Some((_, LaneEvent::Settled { first, last, .. })) = lanes.try_next() {
            settled += last - first + 1;
        }
        assert_eq!(settled, BATCH);
    })
}

fn event(n: u64, keyed: bool) -> Event {
    let event = EventBuilder::new()
        .id(&n.to_string())
        .source("/bench")
        .ty("com.acme.bench")
        .build()
        .unwrap();
    event.with_key(keyed.then(|| n.to_string().into()))
}

fn rig(settings: Settings) -> (Lanes, Outlet) {
    let endpoint = EndpointSpec {
        name: "a".into(),
        builder: Arc::new(Nothing),
        fingerprint: String::new(),
        settings,
        store: None,
    };
    let ingress = IngressSpec {
        name: "in".into(),
        builder: Arc::new(Nothing),
        fingerprint: String::new(),
        drop_rejected: false,
        unmatched: UnmatchedSpec::Discard,
        malformed: MalformedSpec::Reject,
        retain: None,
    };
    let route = RouteSpec {
        name: "all".into(),
        from: None,
        predicate: Arc::new(Predicate::compile_all(&[]).unwrap()),
        to: PlanSpec::To("a".into()),
        add: Vec::new(),
        dead_letter: None,
        max_age: None,
    };
    let destinations = vec![DestinationSpec::Endpoint(endpoint)];
    let spec = Spec {
        budget: 1 << 40,
        ingresses: vec![ingress],
        destinations,
        routes: vec![route],
        store: None,
    };
    let metrics = Metrics::new();
    let budget = Budget::new(1 << 40);
    let numbers = BTreeMap::from([("in".into(), 0)]);
    let mut built = build(&spec, &numbers, &Living::default(), &budget, &metrics, 1).unwrap();
    let wiring = Arc::new(built.wiring);
    let port = Arc::new(Port::new("in".into(), metrics.ingress("in"), false));
    let destination = Arc::clone(&wiring.destinations[0]);
    let gate = Gate {
        wiring,
        policy: built.policies.remove(0),
    };
    let gate: CurrentGate = Arc::new(ArcSwap::from_pointee(gate));
    let lanes = StreamLanes::new(port, gate, budget, Arc::new(Pulse::default()), 1);
    let profile = EgressProfile {
        batch_events: 256,
        batch_bytes: u64::MAX,
        in_flight: 1000,
        keeps_order_or_fails: false,
    };
    let client = destination.install(profile, None);
    (Lanes::new(Box::new(lanes)), Outlet::new(destination, client))
}
