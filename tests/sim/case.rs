//! One simulated case: a topology, a load and the trouble that befalls it, all drawn from one seed.
//!
//! Pure data: `world` builds it, `oracle` judges by it. Everything that the oracle needs to know of a route or a plan
//! stands here in the plainest form, not in the router's.

use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use weft_api::event::{AttrKind, Event, EventBuilder};
use weft_inproc::{Faults, Settling};

/// When the trouble is over and everything heals.
pub(crate) const HEALED: Duration = Duration::from_secs(20);
/// How many types of event there are.
const TYPES: usize = 4;

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) seed: u64,
    pub(crate) budget: u64,
    pub(crate) ingresses: Vec<IngressCase>,
    pub(crate) destinations: Vec<DestinationCase>,
    pub(crate) groups: Vec<GroupCase>,
    pub(crate) routes: Vec<RouteCase>,
    /// In order of time.
    pub(crate) load: Vec<Load>,
    pub(crate) trouble: Vec<(Duration, Trouble)>,
}

#[derive(Debug)]
pub(crate) struct IngressCase {
    pub(crate) settle: Settling,
    pub(crate) lanes: u32,
    pub(crate) window_events: u32,
    pub(crate) window_bytes: u64,
    pub(crate) redeliver_after: Duration,
    pub(crate) deadline: Duration,
    pub(crate) unmatched: Stray,
    pub(crate) malformed: Stray,
    pub(crate) drop_rejected: bool,
}

/// What becomes of an event that no route takes, or of a message that is no event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stray {
    Forget,
    Reject,
    To(usize),
}

#[derive(Debug)]
pub(crate) struct DestinationCase {
    pub(crate) keyed: bool,
    pub(crate) attempts: u32,
    pub(crate) retry_initial: Duration,
    pub(crate) retry_max: Duration,
    pub(crate) unavailable: Option<Duration>,
    pub(crate) queue_events: u64,
    pub(crate) queue_bytes: u64,
    pub(crate) linger: Duration,
    pub(crate) breaker_failures: u32,
    pub(crate) breaker_initial: Duration,
    pub(crate) batch_events: u32,
    pub(crate) in_flight: u32,
    pub(crate) ordered: bool,
    pub(crate) direct: bool,
    pub(crate) faults: Faults,
}

/// What a route or a group leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Destination(usize),
    Group(usize),
    /// Only as a member of a group.
    All(Vec<usize>),
}

#[derive(Debug)]
pub(crate) struct GroupCase {
    pub(crate) kind: GroupKind,
    pub(crate) members: Vec<Part>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupKind {
    RoundRobin,
    Weighted,
    LeastPending,
    Hash { wait: bool },
    Fallback { unavailable: bool, timeout: bool },
}

#[derive(Debug)]
pub(crate) struct RouteCase {
    pub(crate) from: Option<Vec<usize>>,
    pub(crate) types: Option<Vec<usize>>,
    /// Inverts `types`.
    pub(crate) not: bool,
    pub(crate) parts: Vec<Part>,
    pub(crate) dead_letter: Option<usize>,
    pub(crate) max_age: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) at: Duration,
    pub(crate) ingress: usize,
    pub(crate) lane: u32,
    pub(crate) event: Event,
    pub(crate) ty: usize,
    pub(crate) malformed: bool,
    pub(crate) expired: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Trouble {
    Revoke(usize, u32),
    Assign(usize, u32),
    CrashIngress(usize, weft_inproc::Crash),
    HangUps(usize, Option<Duration>),
    /// The sink answers everything so.
    Outage(usize, weft_inproc::Act),
    /// The sink goes back to its usual faults.
    Recover(usize),
}

impl Case {
    pub(crate) fn new(seed: u64) -> Case {
        let mut rng = Rng::with_seed(seed);
        let destinations: Vec<_> = (0..rng.usize(2..=6))
            .map(|_| DestinationCase::draw(&mut rng))
            .collect();
        let count = destinations.len();
        let groups: Vec<_> = (0..rng.usize(0..=2))
            .map(|_| GroupCase::draw(&mut rng, count))
            .collect();
        let ingresses: Vec<_> = (0..rng.usize(1..=3))
            .map(|_| IngressCase::draw(&mut rng, count))
            .collect();
        let routes: Vec<_> = (0..rng.usize(1..=5))
            .map(|_| RouteCase::draw(&mut rng, ingresses.len(), count, groups.len()))
            .collect();
        let mut load = Vec::new();
        for (ingress, case) in ingresses.iter().enumerate() {
            for lane in 0..case.lanes {
                load.extend(draw_load(&mut rng, ingress, lane));
            }
        }
        load.sort_by_key(|load| load.at);
        let trouble = draw_trouble(&mut rng, &ingresses, count);
        let budget = if rng.u32(0..4) == 0 {
            rng.u64(12_000..60_000)
        } else {
            1 << 30
        };
        Case {
            seed,
            budget,
            ingresses,
            destinations,
            groups,
            routes,
            load,
            trouble,
        }
    }
}

fn ms(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}

impl DestinationCase {
    fn draw(rng: &mut Rng) -> DestinationCase {
        let calm = rng.u32(0..3) == 0;
        let faults = if calm {
            Faults {
                delay_max: ms(rng, 0..40),
                ..Faults::default()
            }
        } else {
            Faults::MIXED
        };
        DestinationCase {
            keyed: rng.u32(0..4) > 0,
            attempts: rng.u32(1..6),
            retry_initial: ms(rng, 10..300),
            retry_max: ms(rng, 300..3000),
            unavailable: (rng.u32(0..3) == 0).then(|| ms(rng, 500..5000)),
            queue_events: rng.u64(4..300),
            // Room for the largest event through each of the plans that may meet here.
            queue_bytes: rng.u64(50_000..200_000),
            linger: if rng.bool() {
                Duration::ZERO
            } else {
                ms(rng, 1..50)
            },
            breaker_failures: rng.u32(1..8),
            breaker_initial: ms(rng, 20..800),
            batch_events: rng.u32(1..20),
            in_flight: rng.u32(1..80),
            ordered: rng.bool(),
            direct: rng.bool(),
            faults,
        }
    }
}

impl GroupCase {
    fn draw(rng: &mut Rng, destinations: usize) -> GroupCase {
        let kind = match rng.u32(0..6) {
            0 => GroupKind::RoundRobin,
            1 => GroupKind::Weighted,
            2 => GroupKind::LeastPending,
            3 => GroupKind::Hash { wait: rng.bool() },
            _ => GroupKind::Fallback {
                unavailable: rng.u32(0..4) > 0,
                timeout: rng.bool(),
            },
        };
        let mut all: Vec<usize> = (0..destinations).collect();
        rng.shuffle(&mut all);
        let mut members = Vec::new();
        while let Some(first) = all.pop() {
            if members.len() == 3 {
                break;
            }
            match all.pop() {
                Some(second) if rng.u32(0..4) == 0 => members.push(Part::All(vec![first, second])),
                back => {
                    all.extend(back);
                    members.push(Part::Destination(first));
                }
            }
        }
        GroupCase { kind, members }
    }
}

impl IngressCase {
    fn draw(rng: &mut Rng, destinations: usize) -> IngressCase {
        let settle = [
            Settling::InOrder,
            Settling::InOrder,
            Settling::Individual,
            Settling::Request,
        ];
        let settle = settle[rng.usize(0..settle.len())];
        let drop_rejected = rng.u32(0..4) == 0;
        // Refused without a dead letter, an in-order lane waits for a reload, which this world does not have.
        let final_refusal = settle != Settling::InOrder || drop_rejected;
        let mut stray = || match rng.u32(0..3) {
            0 if final_refusal => Stray::Reject,
            0 | 1 => Stray::Forget,
            _ => Stray::To(rng.usize(0..destinations)),
        };
        let (unmatched, malformed) = (stray(), stray());
        IngressCase {
            settle,
            lanes: rng.u32(1..=3),
            window_events: rng.u32(1..100),
            window_bytes: rng.u64(1_000..100_000),
            redeliver_after: ms(rng, 20..400),
            deadline: ms(rng, 200..5_000),
            unmatched,
            malformed,
            drop_rejected,
        }
    }
}

impl RouteCase {
    fn draw(rng: &mut Rng, ingresses: usize, destinations: usize, groups: usize) -> RouteCase {
        let from = rng.bool().then(|| vec![rng.usize(0..ingresses)]);
        let types = (rng.u32(0..3) > 0).then(|| (0..rng.usize(1..=2)).map(|_| rng.usize(0..TYPES)).collect());
        let mut parts: Vec<Part> = Vec::new();
        for _ in 0..rng.usize(1..=3) {
            let part = match rng.usize(0..destinations + groups) {
                at if at < destinations => Part::Destination(at),
                at => Part::Group(at - destinations),
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        RouteCase {
            from,
            types,
            not: rng.u32(0..4) == 0,
            parts,
            dead_letter: rng.bool().then(|| rng.usize(0..destinations)),
            max_age: (rng.u32(0..4) == 0).then(|| ms(rng, 300..8000)),
        }
    }

    /// The naive twin of filters and index.
    pub(crate) fn matches(&self, ingress: usize, ty: usize) -> bool {
        let from = self.from.as_ref().is_none_or(|from| from.contains(&ingress));
        let types = self
            .types
            .as_ref()
            .is_none_or(|types| types.contains(&ty) != self.not);
        from && types
    }
}

fn draw_load(rng: &mut Rng, ingress: usize, lane: u32) -> Vec<Load> {
    let count = rng.usize(10..80);
    let spread = rng.u64(1..15_000);
    let mut times: Vec<_> = (0..count).map(|_| ms(rng, 0..spread)).collect();
    times.sort();
    let mut builder = EventBuilder::new();
    let load = times.into_iter().enumerate().map(|(number, at)| {
        let ty = rng.usize(0..TYPES);
        builder
            .id(&format!("{ingress}-{lane}-{number}"))
            .source(&format!("/sim/{ingress}"))
            .ty(&format!("com.acme.t{ty}"));
        builder.set("number", AttrKind::Integer, &number.to_string());
        builder.datacontenttype("application/octet-stream");
        let size = if rng.u32(0..20) == 0 {
            rng.usize(0..8_000)
        } else {
            rng.usize(0..200)
        };
        builder.data((0..size).map(|_| rng.u8(..)).collect::<Vec<_>>().into());
        match rng.u32(0..4) {
            0 => {}
            1 => _ = builder.extension("partitionkey", &format!("p{}", rng.u32(0..4))),
            _ => _ = builder.key(Bytes::from(format!("k{}", rng.u32(0..6)))),
        }
        let expired = rng.u32(0..25) == 0;
        if rng.u32(0..10) == 0 || expired {
            let time = if expired {
                "2001-01-01T00:00:00Z"
            } else {
                "2999-01-01T00:00:00Z"
            };
            builder.set("expirytime", AttrKind::Timestamp, time);
        }
        let event = builder.build().expect("the simulator makes valid events");
        Load {
            at,
            ingress,
            lane,
            event,
            ty,
            malformed: rng.u32(0..40) == 0,
            expired,
        }
    });
    load.collect()
}

fn draw_trouble(rng: &mut Rng, ingresses: &[IngressCase], destinations: usize) -> Vec<(Duration, Trouble)> {
    use weft_api::outcome::Reason;
    use weft_inproc::{Act, Crash};
    let end = HEALED.as_millis() as u64;
    let mut trouble = Vec::new();
    for (number, ingress) in ingresses.iter().enumerate() {
        if rng.u32(0..3) == 0 {
            let how = if rng.bool() { Crash::Error } else { Crash::Panic };
            trouble.push((ms(rng, 0..end), Trouble::CrashIngress(number, how)));
        }
        if ingress.settle == Settling::Request {
            if rng.bool() {
                let patience = ms(rng, 1..500);
                trouble.push((ms(rng, 0..end / 2), Trouble::HangUps(number, Some(patience))));
                trouble.push((ms(rng, end / 2..end), Trouble::HangUps(number, None)));
            }
            continue;
        }
        for _ in 0..rng.u32(0..3) {
            let lane = rng.u32(0..ingress.lanes);
            let at = ms(rng, 0..end);
            trouble.push((at, Trouble::Revoke(number, lane)));
            trouble.push((at + ms(rng, 0..3000), Trouble::Assign(number, lane)));
        }
    }
    for _ in 0..rng.u32(0..5) {
        let number = rng.usize(0..destinations);
        let reason = [
            Reason::Unavailable,
            Reason::Overloaded,
            Reason::Unauthorised,
            Reason::Misconfigured,
        ];
        let reason = reason[rng.usize(0..reason.len())];
        let act = match rng.u32(0..4) {
            0 => Act::Hang,
            1 => Act::Fail,
            _ => Act::Down {
                reason,
                retry_after: rng.bool().then(|| ms(rng, 1..3000)),
            },
        };
        let at = ms(rng, 0..end);
        trouble.push((at, Trouble::Outage(number, act)));
        trouble.push((at + ms(rng, 0..6000), Trouble::Recover(number)));
    }
    trouble.sort_by_key(|(at, _)| *at);
    trouble
}
