//! From a setup to the spec that a topology is built from, as `app` makes one from a file.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use weft::delivery::dedupe::DedupeSettings;
use weft::delivery::rate::Rate;
use weft::delivery::retry_budget::RetryBudget;
use weft::routing::filter::{FilterExpr, Predicate};
use weft::routing::plan::{FallbackOn, KeyRule, Policy};
use weft::topology::breaker::BreakerSettings;
use weft::topology::settings::{Batching, Bounds, Retry, Settings};
use weft::topology::spec::{
    DestinationSpec, EndpointSpec, IngressSpec, LOCAL, LogSpec, MalformedSpec, PlanSpec, RouteSpec, Spec,
    StoreSpec, UnmatchedSpec, WhenFull,
};
use weft_api::connector::{EgressBuilder, IngressBuilder, RawMessage};
use weft_api::egress::{Egress, EgressProfile};
use weft_api::event::Event;
use weft_api::ingress::{Ingress, Window};
use weft_inproc::{Hub, IngressOptions, Stamp};

use crate::case::{
    Case, DestinationCase, GroupCase, GroupKind, IngressCase, LogCase, Part, RouteCase, Setup, StoreCase,
    Stray,
};

/// The directory of the store.
pub(super) const PATH: &str = "/store";
/// What the disk shall have left: as much is kept for starts on a full one.
const KEEP_FREE: u64 = 1 << 20;
const SECOND: Duration = Duration::from_secs(1);

/// `broken`: one route leads to a destination that is not there.
pub(super) fn of(
    case: &Case,
    setup: &Setup,
    hub: &Hub,
    built: &Arc<Mutex<Vec<(usize, Stamp)>>>,
    broken: bool,
) -> Spec {
    let ingresses = setup.ingresses.iter().enumerate().filter_map(|(number, case)| {
        case.as_ref().map(|case| {
            let builder = FeedBuilder {
                hub: hub.clone(),
                number,
                options: options(case),
                built: Arc::clone(built),
            };
            IngressSpec {
                name: format!("i{number}").into(),
                fingerprint: format!("{:?}", builder.options),
                builder: Arc::new(builder),
                drop_rejected: case.drop_rejected,
                unmatched: match case.unmatched {
                    Stray::Forget => UnmatchedSpec::Discard,
                    Stray::Reject => UnmatchedSpec::Reject,
                    Stray::To(at) => UnmatchedSpec::To(name(at)),
                },
                malformed: match case.malformed {
                    Stray::Forget => MalformedSpec::Drop,
                    Stray::Reject => MalformedSpec::Reject,
                    Stray::To(at) => MalformedSpec::DeadLetter(name(at)),
                },
                log: None,
                retain: None,
            }
        })
    });
    let endpoints = setup
        .destinations
        .iter()
        .enumerate()
        .filter_map(|(number, case)| {
            case.as_ref().map(|case| {
                DestinationSpec::Endpoint(EndpointSpec {
                    name: name(number),
                    builder: Arc::new(SinkBuilder {
                        hub: hub.clone(),
                        number,
                        case: case.clone(),
                    }),
                    fingerprint: format!("{:?}", case.client),
                    settings: settings(case),
                    store: case.log.as_ref().map(log),
                    shared: None,
                })
            })
        });
    let groups = setup
        .groups
        .iter()
        .enumerate()
        .map(|(number, group)| DestinationSpec::Group {
            name: format!("g{number}").into(),
            plan: group_plan(group),
            store: group.log.as_ref().map(log),
            shared: None,
        });
    let mut routes: Vec<RouteSpec> = setup.routes.iter().map(route).collect();
    if let (true, Some(route)) = (broken, routes.last_mut()) {
        route.to = PlanSpec::To("nowhere".into());
    }
    Spec {
        budget: setup.budget,
        ingresses: ingresses.collect(),
        destinations: endpoints.chain(groups).collect(),
        routes,
        store: case.store.as_ref().map(store),
    }
}

fn store(case: &StoreCase) -> StoreSpec {
    StoreSpec {
        path: PATH.into(),
        max_bytes: case.max_bytes,
        keep_free: KEEP_FREE,
        sync: weft_store::Sync::Always,
        dead_letters: LogSpec {
            max_bytes: 1 << 30,
            max_age: None,
            retain: None,
            when_full: WhenFull::Block,
        },
    }
}

fn log(case: &LogCase) -> LogSpec {
    LogSpec {
        max_bytes: case.max_bytes,
        max_age: case.max_age,
        retain: None,
        when_full: if case.moves {
            WhenFull::Move
        } else {
            WhenFull::Block
        },
    }
}

fn name(destination: usize) -> Arc<str> {
    format!("d{destination}").into()
}

fn options(case: &IngressCase) -> IngressOptions {
    IngressOptions {
        lanes: case.lanes,
        settle: case.settle,
        window: Window {
            events: case.window_events,
            bytes: case.window_bytes,
        },
        redeliver_after: case.redeliver_after,
        deadline: case.deadline,
    }
}

fn settings(case: &DestinationCase) -> Settings {
    Settings {
        order_by: if case.keyed { KeyRule::Key } else { KeyRule::None },
        retry: Retry {
            attempts: case.attempts,
            initial: case.retry_initial,
            max: case.retry_max,
            unavailable: case.unavailable,
            budget: case.pace.retries.map(|(share, floor)| RetryBudget {
                share,
                floor: Rate::steady(floor, SECOND),
            }),
        },
        queue: Bounds {
            events: case.queue_events,
            bytes: case.queue_bytes,
        },
        batch: Batching {
            events: None,
            bytes: None,
            linger: case.linger,
        },
        breaker: BreakerSettings {
            failures: case.breaker_failures,
            initial: case.breaker_initial,
            max: Duration::from_secs(3),
        },
        rate: case.pace.rate.map(|(events, burst)| Rate {
            events,
            per: SECOND,
            burst,
        }),
        shared_log: None,
        dedupe: case.pace.dedupe.map(|(window, max_entries)| DedupeSettings {
            by: vec!["source".into(), "id".into()],
            window,
            max_entries,
        }),
    }
}

fn route(case: &RouteCase) -> RouteSpec {
    let exact = |ty: &usize| FilterExpr::Exact([("type".to_owned(), format!("com.acme.t{ty}"))].into());
    let filter = case.types.as_ref().map(|types| {
        let any = FilterExpr::Any(types.iter().map(exact).collect());
        if case.not {
            FilterExpr::Not(Box::new(any))
        } else {
            any
        }
    });
    let filters: Vec<FilterExpr> = filter.into_iter().collect();
    let from = case.from.as_ref();
    RouteSpec {
        name: format!("r{}", case.name).into(),
        from: from.map(|from| from.iter().map(|at| format!("i{at}").into()).collect()),
        predicate: Arc::new(Predicate::compile_all(&filters).expect("a valid filter")),
        to: PlanSpec::All(case.parts.iter().map(plan).collect()),
        add: Vec::new(),
        dead_letter: case.dead_letter.map(name).or(case.local.then(|| LOCAL.into())),
        max_age: case.max_age,
    }
}

fn plan(part: &Part) -> PlanSpec {
    match part {
        Part::Destination(at) => PlanSpec::To(name(*at)),
        Part::Group(at) => PlanSpec::To(format!("g{at}").into()),
        Part::All(all) => PlanSpec::All(all.iter().map(|at| PlanSpec::To(name(*at))).collect()),
    }
}

fn group_plan(group: &GroupCase) -> PlanSpec {
    let members: Vec<PlanSpec> = group.members.iter().map(plan).collect();
    let (policy, wait) = match group.kind {
        GroupKind::RoundRobin => (Policy::RoundRobin, false),
        GroupKind::Weighted => (Policy::Weighted, false),
        GroupKind::LeastPending => (Policy::LeastPending, false),
        GroupKind::Hash { wait } => (Policy::Hash, wait),
        GroupKind::Fallback {
            refused,
            unavailable,
            timeout,
        } => {
            let on = FallbackOn {
                refused,
                unavailable,
                timeout,
            };
            return PlanSpec::First { members, on };
        }
    };
    PlanSpec::Any {
        members: members.into_iter().zip(1..).collect(),
        policy,
        wait,
        key: KeyRule::Key,
    }
}

struct FeedBuilder {
    hub: Hub,
    number: usize,
    options: IngressOptions,
    built: Arc<Mutex<Vec<(usize, Stamp)>>>,
}

impl IngressBuilder for FeedBuilder {
    fn build(&self) -> Result<Box<dyn Ingress>, String> {
        let built = (self.number, self.hub.stamp());
        self.built.lock().expect("nobody panics with it").push(built);
        Ok(self.hub.feed(&format!("i{}", self.number)).ingress(self.options))
    }

    fn address(&self) -> String {
        format!("sim:i{}", self.number)
    }

    fn explain(&self, _: &RawMessage) -> Result<Event, String> {
        Err("a feed takes events as they are".to_owned())
    }
}

struct SinkBuilder {
    hub: Hub,
    number: usize,
    case: DestinationCase,
}

impl EgressBuilder for SinkBuilder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        let client = self.case.client;
        let profile = EgressProfile {
            batch_events: client.batch_events,
            batch_bytes: 1 << 20,
            in_flight: client.in_flight,
            keeps_order_or_fails: client.ordered,
        };
        Ok(self
            .hub
            .sink(&format!("d{}", self.number))
            .egress(profile, client.direct))
    }

    fn address(&self) -> String {
        format!("sim:d{}", self.number)
    }
}
