//! One configuration: what a file would say, in the plainest form. A reload replaces one by another.
//!
//! Ingresses and destinations keep their place for a whole case; one that a setup does not have is `None` there.

use std::time::Duration;

use fastrand::Rng;
use weft_inproc::{Faults, Settling};

use super::ms;
use super::store::LogCase;

/// How many types of event there are.
pub(super) const TYPES: usize = 4;

#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) budget: u64,
    pub(crate) ingresses: Vec<Option<IngressCase>>,
    pub(crate) destinations: Vec<Option<DestinationCase>>,
    pub(crate) groups: Vec<GroupCase>,
    pub(crate) routes: Vec<RouteCase>,
}

#[derive(Clone, PartialEq, Debug)]
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

#[derive(Clone, PartialEq, Debug)]
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
    pub(crate) pace: PaceCase,
    pub(crate) client: ClientCase,
    pub(crate) log: Option<LogCase>,
}

/// What holds events back at a destination that is well.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct PaceCase {
    /// Events a second, and how many at once after a pause.
    pub(crate) rate: Option<(u32, u32)>,
    /// For how long a delivery is remembered, and how many are.
    pub(crate) dedupe: Option<(Duration, u32)>,
    /// What a first attempt earns in retries, and how many a second brings.
    pub(crate) retries: Option<(f64, u32)>,
}

/// What makes a new client where it changes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct ClientCase {
    pub(crate) batch_events: u32,
    pub(crate) in_flight: u32,
    pub(crate) ordered: bool,
    pub(crate) direct: bool,
}

/// What a route or a group leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Destination(usize),
    Group(usize),
    /// Only as a member of a group.
    All(Vec<usize>),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct GroupCase {
    pub(crate) kind: GroupKind,
    pub(crate) members: Vec<Part>,
    pub(crate) log: Option<LogCase>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GroupKind {
    RoundRobin,
    Weighted,
    LeastPending,
    Hash {
        wait: bool,
    },
    Fallback {
        refused: bool,
        unavailable: bool,
        timeout: bool,
    },
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct RouteCase {
    pub(crate) name: usize,
    pub(crate) from: Option<Vec<usize>>,
    pub(crate) types: Option<Vec<usize>>,
    /// Inverts `types`.
    pub(crate) not: bool,
    pub(crate) parts: Vec<Part>,
    pub(crate) dead_letter: Option<usize>,
    /// `dead_letter: local`
    pub(crate) local: bool,
    pub(crate) max_age: Option<Duration>,
}

impl Setup {
    /// Makes a destination fail more often than not while its breaker stays closed, so that retries use its budget up
    /// (C23); returns how its sink behaves.
    pub(super) fn wear_out(&mut self, at: usize) -> Faults {
        if let Some(destination) = &mut self.destinations[at] {
            destination.attempts = 20;
            destination.breaker_failures = 1_000;
            destination.retry_initial = Duration::from_millis(20);
            destination.pace.rate = None;
            destination.pace.retries = Some((0.05, 1));
        }
        Faults {
            fail: 600,
            delay_max: Duration::from_millis(20),
            ..Faults::default()
        }
    }

    pub(super) fn draw(rng: &mut Rng) -> Setup {
        let count = rng.usize(2..=6);
        let destinations = (0..count).map(|_| Some(DestinationCase::draw(rng))).collect();
        let groups: Vec<_> = (0..rng.usize(0..=2))
            .map(|_| GroupCase::draw(rng, (0..count).collect()))
            .collect();
        let ingresses: Vec<_> = (0..rng.usize(1..=3))
            .map(|_| Some(IngressCase::draw(rng, count)))
            .collect();
        let mut setup = Setup {
            budget: draw_budget(rng),
            ingresses,
            destinations,
            groups,
            routes: Vec::new(),
        };
        for name in 0..rng.usize(1..=5) {
            let route = setup.draw_route(rng, name);
            setup.routes.push(route);
        }
        setup
    }

    /// The destinations that it has.
    pub(crate) fn present(&self) -> Vec<usize> {
        (0..self.destinations.len())
            .filter(|at| self.destinations[*at].is_some())
            .collect()
    }

    pub(super) fn draw_route(&self, rng: &mut Rng, name: usize) -> RouteCase {
        let present = self.present();
        let from = rng.bool().then(|| vec![rng.usize(0..self.ingresses.len())]);
        let types = (rng.u32(0..3) > 0).then(|| (0..rng.usize(1..=2)).map(|_| rng.usize(0..TYPES)).collect());
        let mut parts: Vec<Part> = Vec::new();
        for _ in 0..rng.usize(1..=3) {
            let part = match rng.usize(0..present.len() + self.groups.len()) {
                at if at < present.len() => Part::Destination(present[at]),
                at => Part::Group(at - present.len()),
            };
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        RouteCase {
            name,
            from,
            types,
            not: rng.u32(0..4) == 0,
            parts,
            dead_letter: rng.bool().then(|| present[rng.usize(0..present.len())]),
            local: false,
            max_age: (rng.u32(0..4) == 0).then(|| ms(rng, 300..8000)),
        }
    }

    /// Every destination that a part may lead to.
    pub(crate) fn places(&self, part: &Part) -> Vec<usize> {
        match part {
            Part::Destination(at) => vec![*at],
            Part::All(all) => all.clone(),
            Part::Group(at) => self.groups[*at]
                .members
                .iter()
                .flat_map(|member| self.places(member))
                .collect(),
        }
    }

    /// A log stands somewhere on the way to this part.
    pub(crate) fn has_log(&self, part: &Part) -> bool {
        let at_one = |at: &usize| self.destinations[*at].as_ref().is_some_and(|it| it.log.is_some());
        let of_group = matches!(part, Part::Group(at) if self.groups[*at].log.is_some());
        of_group || self.places(part).iter().any(at_one)
    }

    /// How long a log on the way to this part keeps an event.
    pub(crate) fn log_age(&self, part: &Part) -> Option<Duration> {
        let of_one = |at: usize| self.destinations[at].as_ref()?.log.as_ref()?.max_age;
        let of_group = match part {
            Part::Group(at) => self.groups[*at].log.as_ref().and_then(|log| log.max_age),
            _ => None,
        };
        of_group.or_else(|| self.places(part).into_iter().find_map(of_one))
    }

    /// Some group leads to this destination.
    pub(crate) fn in_a_group(&self, at: usize) -> bool {
        (0..self.groups.len()).any(|group| self.places(&Part::Group(group)).contains(&at))
    }
}

impl DestinationCase {
    pub(super) fn draw(rng: &mut Rng) -> DestinationCase {
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
            pace: PaceCase::draw(rng),
            client: ClientCase::draw(rng),
            log: None,
        }
    }
}

impl PaceCase {
    fn draw(rng: &mut Rng) -> PaceCase {
        let some = |rng: &mut Rng, of: u32| rng.u32(0..of) == 0;
        PaceCase {
            rate: some(rng, 6).then(|| (rng.u32(30..400), rng.u32(1..40))),
            dedupe: some(rng, 4).then(|| {
                let few = some(rng, 3);
                (ms(rng, 500..30_000), if few { rng.u32(1..20) } else { 10_000 })
            }),
            retries: (rng.u32(0..4) > 0).then(|| {
                let share = [0.0, 0.05, 0.2, 0.5];
                (share[rng.usize(0..share.len())], rng.u32(1..15))
            }),
        }
    }
}

impl ClientCase {
    pub(super) fn draw(rng: &mut Rng) -> ClientCase {
        ClientCase {
            batch_events: rng.u32(1..20),
            in_flight: rng.u32(1..80),
            ordered: rng.bool(),
            direct: rng.bool(),
        }
    }
}

impl GroupCase {
    /// Over some of these destinations, each at most once.
    pub(super) fn draw(rng: &mut Rng, mut all: Vec<usize>) -> GroupCase {
        let kind = match rng.u32(0..6) {
            0 => GroupKind::RoundRobin,
            1 => GroupKind::Weighted,
            2 => GroupKind::LeastPending,
            3 => GroupKind::Hash { wait: rng.bool() },
            _ => GroupKind::Fallback {
                refused: rng.u32(0..5) > 0,
                unavailable: rng.u32(0..4) > 0,
                timeout: rng.bool(),
            },
        };
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
        GroupCase {
            kind,
            members,
            log: None,
        }
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
        let (unmatched, malformed) = (Stray::draw(rng, destinations), Stray::draw(rng, destinations));
        IngressCase {
            settle: settle[rng.usize(0..settle.len())],
            lanes: rng.u32(1..=3),
            window_events: rng.u32(1..100),
            window_bytes: rng.u64(1_000..100_000),
            redeliver_after: ms(rng, 20..400),
            deadline: ms(rng, 200..5_000),
            unmatched,
            malformed,
            drop_rejected: rng.u32(0..4) == 0,
        }
    }

    /// A refusal without a dead letter holds the lane up: nobody may be told of it.
    pub(crate) fn holds(&self) -> bool {
        self.settle == Settling::InOrder && !self.drop_rejected
    }
}

impl Stray {
    pub(super) fn draw(rng: &mut Rng, destinations: usize) -> Stray {
        match rng.u32(0..6) {
            0 => Stray::Reject,
            1..=3 => Stray::Forget,
            _ => Stray::To(rng.usize(0..destinations)),
        }
    }
}

impl RouteCase {
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

pub(super) fn draw_budget(rng: &mut Rng) -> u64 {
    if rng.u32(0..4) == 0 {
        rng.u64(12_000..60_000)
    } else {
        1 << 30
    }
}
