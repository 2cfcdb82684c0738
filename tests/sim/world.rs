//! Builds a case from the router's own lanes, plans and delivery, runs it under a paused clock, and keeps an eye on
//! its bounds while it runs.
//!
//! Owns: the tasks. What supervises connectors here is the naive twin of the router's own supervisor: it builds a new
//! life after a short wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use weft::delivery::batch::Outlet;
use weft::delivery::breaker::BreakerSettings;
use weft::delivery::budget::Budget;
use weft::delivery::destination::Destination;
use weft::delivery::origin::Port;
use weft::delivery::settings::{Batching, Bounds, Retry, Settings};
use weft::delivery::wiring::Wiring;
use weft::lane::admit::{CurrentGate, Gate, Malformed, Policy as Stance, Unmatched};
use weft::lane::books::Pulse;
use weft::lane::request::RequestLaneSet;
use weft::lane::stream::StreamLanes;
use weft::metrics::{IngressMetrics, Metrics};
use weft::routing::anycast::{hash, smooth_sequence};
use weft::routing::filter::{FilterExpr, Predicate};
use weft::routing::index::{Index, Rule};
use weft::routing::plan::{
    Anycast, DestId, Fallback, FallbackOn, KeyRule, Member, Node, NodeId, Plans, Policy as Pick,
};
use weft::routing::table::{Route, Table};
use weft_api::egress::{EgressContext, EgressProfile};
use weft_api::ingress::{Incoming, IngressContext, Lanes, RequestLanes, Window};
use weft_api::status::Silent;
use weft_api::stop::{Phase, StopHandle};
use weft_inproc::{Act, Feed, Happening, Hub, IngressOptions, Policy, Sink};

use crate::case::{Case, DestinationCase, GroupKind, HEALED, IngressCase, Part, RouteCase, Stray, Trouble};

/// How long after the healing everything must have drained. Long: an event may have waited for a backed-off breaker
/// behind a full queue more than once.
const DRAIN: Duration = Duration::from_secs(600);
/// How often the router's own sweep would run.
const SWEEP: Duration = Duration::from_millis(500);
const RESTART: Duration = Duration::from_millis(100);

pub(crate) struct World {
    pub(crate) feeds: Vec<Feed>,
    pub(crate) sinks: Vec<Sink>,
    pub(crate) destinations: Vec<Arc<Destination>>,
    pub(crate) ingress_metrics: Vec<Arc<IngressMetrics>>,
    pub(crate) budget: Arc<Budget>,
    /// What was wrong with the bounds while the case ran.
    pub(crate) overruns: Vec<String>,
    /// Everything that should have drained and did not.
    pub(crate) stuck: Vec<String>,
    stop: StopHandle,
    tasks: Vec<JoinHandle<()>>,
}

/// Runs the case to its end.
pub(crate) async fn run(case: &Case) -> World {
    let mut world = World::build(case);
    let overruns = Arc::new(Mutex::new(BTreeMap::new()));
    world.tasks.push(watch(case, &world, Arc::clone(&overruns)));
    let start = Instant::now();
    let troubles = tokio::join!(world.feed_all(case, start), world.befall_all(case, start));
    let ((), ()) = troubles;
    sleep_until(start + HEALED).await;
    world.heal(case);
    world.drain(case).await;
    world.overruns = overruns
        .lock()
        .expect("nobody panics with it")
        .values()
        .cloned()
        .collect();
    world
}

impl World {
    /// Prints what happened to one event, in order.
    pub(crate) fn tell(&self, id: &str) {
        let mut lines = Vec::new();
        for (number, sink) in self.sinks.iter().enumerate() {
            let attempts = sink
                .attempts()
                .into_iter()
                .filter(|attempt| attempt.event.id() == id);
            lines.extend(attempts.map(|it| {
                (
                    it.stamp,
                    format!("d{number} batch {:?}: {:?}", it.batch, it.answer),
                )
            }));
            let delivered = sink
                .deliveries()
                .into_iter()
                .filter(|delivery| delivery.event.id() == id);
            lines.extend(
                delivered.map(|it| (it.stamp, format!("d{number} has it, confirmed: {}", it.confirmed))),
            );
        }
        let mut parts = id
            .split('-')
            .map(|part| part.parse::<u64>().expect("ids are numbers"));
        let (ingress, lane, offset) = (parts.next(), parts.next(), parts.next());
        let feed = &self.feeds[usize::try_from(ingress.expect("an ingress")).expect("few")];
        for entry in feed
            .history()
            .into_iter()
            .filter(|entry| Some(u64::from(entry.lane)) == lane)
        {
            let its = match entry.what {
                Happening::Delivered { offset: at, .. } | Happening::Settled { offset: at, .. } => {
                    Some(at) == offset
                }
                Happening::HungUp { offset: at } => Some(at) == offset,
                _ => true,
            };
            if its {
                lines.push((entry.stamp, format!("{:?}", entry.what)));
            }
        }
        lines.sort();
        for (stamp, line) in lines {
            eprintln!("{:>12?} {:>6} {line}", stamp.at, stamp.order);
        }
    }

    fn build(case: &Case) -> World {
        let hub = Hub::new();
        let (stop, _) = StopHandle::new();
        let metrics = Metrics::new();
        let budget = Budget::new(case.budget);
        let destination = |(number, destination): (usize, &DestinationCase)| {
            let name: Arc<str> = format!("d{number}").into();
            Destination::new(
                Arc::clone(&name),
                settings(destination),
                metrics.destination(&name),
                Arc::clone(&budget),
                case.seed + number as u64,
            )
        };
        let destinations: Vec<_> = case.destinations.iter().enumerate().map(destination).collect();
        let (table, plain) = table(case);
        let matched = table
            .routes
            .iter()
            .map(|route| metrics.route(&route.name).matched)
            .collect();
        let wiring = Arc::new(Wiring {
            table,
            destinations: destinations.clone(),
            matched,
        });
        let mut world = World {
            feeds: (0..case.ingresses.len())
                .map(|number| hub.feed(&format!("i{number}")))
                .collect(),
            sinks: (0..destinations.len())
                .map(|number| hub.sink(&format!("d{number}")))
                .collect(),
            destinations,
            ingress_metrics: (0..case.ingresses.len())
                .map(|number| metrics.ingress(&format!("i{number}")))
                .collect(),
            budget,
            overruns: Vec::new(),
            stuck: Vec::new(),
            stop,
            tasks: Vec::new(),
        };
        for (number, ingress) in case.ingresses.iter().enumerate() {
            let gate = Gate {
                wiring: Arc::clone(&wiring),
                policy: stance(number, ingress, &plain),
            };
            let task = world.run_ingress(number, ingress, Arc::new(ArcSwap::from_pointee(gate)), case.seed);
            world.tasks.push(task);
        }
        for (number, destination) in case.destinations.iter().enumerate() {
            world.sinks[number].answer_with(Policy::seeded(case.seed ^ number as u64, destination.faults));
            if !destination.keyed {
                world.sinks[number].without_order();
            }
            let task = world.run_egress(number, destination);
            world.tasks.push(task);
        }
        let swept = world.destinations.clone();
        world.tasks.push(tokio::spawn(async move {
            loop {
                sleep(SWEEP).await;
                swept.iter().for_each(Destination::sweep);
            }
        }));
        world
    }

    fn run_ingress(&self, number: usize, case: &IngressCase, gate: CurrentGate, seed: u64) -> JoinHandle<()> {
        let name: Arc<str> = format!("i{number}").into();
        let metrics = Arc::clone(&self.ingress_metrics[number]);
        let port = Port::new(Arc::clone(&name), metrics, case.drop_rejected);
        let (port, budget, feed) = (
            Arc::new(port),
            Arc::clone(&self.budget),
            self.feeds[number].clone(),
        );
        let options = IngressOptions {
            lanes: case.lanes,
            settle: case.settle,
            window: Window {
                events: case.window_events,
                bytes: case.window_bytes,
            },
            redeliver_after: case.redeliver_after,
            deadline: case.deadline,
        };
        let stop = self.stop.subscribe();
        tokio::spawn(async move {
            while stop.phase() < Phase::Stopped {
                let pulse = Arc::new(Pulse::default());
                let (shared, gate, budget) =
                    (|| Arc::clone(&port), || Arc::clone(&gate), || Arc::clone(&budget));
                let lanes = StreamLanes::new(shared(), gate(), budget(), Arc::clone(&pulse), seed);
                let requests = RequestLaneSet::new(shared(), gate(), budget(), pulse);
                let cx = IngressContext {
                    name: Arc::clone(&name),
                    lanes: Lanes::new(Box::new(lanes)),
                    requests: RequestLanes::new(Arc::new(requests)),
                    stop: stop.clone(),
                    report: Arc::new(Silent),
                };
                // Its own task, so that a panic ends this life only.
                drop(tokio::spawn(feed.ingress(options).run(cx)).await);
                sleep(RESTART).await;
            }
        })
    }

    fn run_egress(&self, number: usize, case: &DestinationCase) -> JoinHandle<()> {
        let (sink, destination) = (self.sinks[number].clone(), Arc::clone(&self.destinations[number]));
        let (stop, direct) = (self.stop.subscribe(), case.direct);
        let profile = EgressProfile {
            batch_events: case.batch_events,
            batch_bytes: 1 << 20,
            in_flight: case.in_flight,
            keeps_order_or_fails: case.ordered,
        };
        tokio::spawn(async move {
            while stop.phase() < Phase::Stopped {
                let egress = sink.egress(profile, direct);
                let client = destination.install(profile, egress.direct());
                let outlet = Outlet::new(Arc::clone(&destination), client);
                let name = Arc::clone(&destination.name);
                let cx = EgressContext::new(name, stop.clone(), Arc::new(Silent), Box::new(outlet));
                drop(tokio::spawn(egress.run(cx)).await);
                destination.uninstall(client);
                sleep(RESTART).await;
            }
        })
    }

    async fn feed_all(&self, case: &Case, start: Instant) {
        for load in &case.load {
            sleep_until(start + load.at).await;
            let incoming = Incoming {
                event: load.event.clone(),
                malformed: load.malformed,
            };
            self.feeds[load.ingress].push(load.lane, incoming);
        }
    }

    async fn befall_all(&self, case: &Case, start: Instant) {
        for (at, trouble) in &case.trouble {
            sleep_until(start + *at).await;
            match trouble {
                Trouble::Revoke(ingress, lane) => self.feeds[*ingress].revoke(*lane),
                Trouble::Assign(ingress, lane) => self.feeds[*ingress].assign(*lane),
                Trouble::CrashIngress(ingress, how) => self.feeds[*ingress].crash(*how),
                Trouble::HangUps(ingress, patience) => self.feeds[*ingress].hang_up_after(*patience),
                Trouble::Outage(sink, act) => self.sinks[*sink].answer_with(Policy::always(*act)),
                Trouble::Recover(sink) => {
                    let faults = case.destinations[*sink].faults;
                    self.sinks[*sink].answer_with(Policy::seeded(case.seed ^ 77, faults));
                    self.sinks[*sink].let_go(Act::Accept);
                }
            }
        }
    }

    fn heal(&self, case: &Case) {
        for sink in &self.sinks {
            sink.answer_with(Policy::always(Act::Accept.after(Duration::from_millis(1))));
            sink.let_go(Act::Accept);
        }
        for (feed, ingress) in self.feeds.iter().zip(&case.ingresses) {
            feed.hang_up_after(None);
            (0..ingress.lanes).for_each(|lane| feed.assign(lane));
        }
    }

    /// Waits for every feed and every queue; then stops the world.
    async fn drain(&mut self, case: &Case) {
        let settled = async {
            for feed in &self.feeds {
                feed.settled().await;
            }
            while self
                .destinations
                .iter()
                .any(|destination| destination.pending_events() > 0)
            {
                sleep(SWEEP).await;
            }
        };
        if timeout(DRAIN, settled).await.is_err() {
            self.stuck = self.what_is_stuck(case);
        }
        self.stop.advance(Phase::Draining);
        self.stop.advance(Phase::Stopped);
        sleep(RESTART * 3).await;
        for task in self.tasks.drain(..) {
            task.abort();
        }
    }

    fn what_is_stuck(&self, case: &Case) -> Vec<String> {
        let mut stuck = Vec::new();
        for load in &case.load {
            let offset = load
                .event
                .id()
                .rsplit('-')
                .next()
                .and_then(|text| text.parse().ok());
            let offset = offset.expect("ids end with the offset");
            if self.feeds[load.ingress].outcome(load.lane, offset).is_none() {
                let history = self.feeds[load.ingress].history().into_iter().filter(|entry| {
                    let at = match entry.what {
                        Happening::Delivered { offset, .. }
                        | Happening::Settled { offset, .. }
                        | Happening::HungUp { offset } => offset,
                        _ => offset,
                    };
                    entry.lane == load.lane && at == offset
                });
                let last: Vec<_> = history.map(|entry| (entry.stamp.at, entry.what)).collect();
                let last = &last[last.len().saturating_sub(4)..];
                stuck.push(format!(
                    "event {} ({} B) is not settled: {last:?}",
                    load.event.id(),
                    load.event.size()
                ));
            }
        }
        stuck.truncate(5);
        for destination in &self.destinations {
            let standing = destination.standing();
            if standing.pending_events > 0 {
                let (name, last) = (&destination.name, standing.last_error);
                let (pending, in_flight, breaker) =
                    (standing.pending_events, standing.in_flight, standing.breaker);
                stuck.push(format!(
                    "{name}: {pending} pending, {in_flight} in flight, breaker {breaker:?}, {last:?}"
                ));
            }
        }
        stuck
    }
}

/// Looks at every bound now and then; one line for each that was ever passed.
fn watch(case: &Case, world: &World, overruns: Arc<Mutex<BTreeMap<String, String>>>) -> JoinHandle<()> {
    let (budget, destinations) = (Arc::clone(&world.budget), world.destinations.clone());
    let lanes = || {
        case.ingresses
            .iter()
            .flat_map(|ingress| (0..ingress.lanes).map(move |_| ingress))
    };
    let windows: u64 = lanes().map(|ingress| u64::from(ingress.window_events)).sum();
    let largest = case.load.iter().map(|load| load.event.size()).max().unwrap_or(0);
    // An empty in-order or individual lane may always move one event, whatever the budget says.
    let budget_max = case.budget + largest * lanes().count() as u64;
    let bounds: Vec<_> = case
        .destinations
        .iter()
        .map(|d| (d.queue_events + windows, d.in_flight))
        .collect();
    let start = Instant::now();
    tokio::spawn(async move {
        let note = |what: String, found: String| {
            let line = format!("{what}: {found}");
            overruns
                .lock()
                .expect("nobody panics with it")
                .entry(what)
                .or_insert(line);
        };
        loop {
            if budget.used() > budget_max {
                note(
                    "the budget holds".to_owned(),
                    format!("{} of {budget_max}", budget.used()),
                );
            }
            for (destination, (events_max, in_flight_max)) in destinations.iter().zip(&bounds) {
                let standing = destination.standing();
                if standing.pending_events > *events_max {
                    let found = format!("{} of {events_max}", standing.pending_events);
                    note(format!("{}'s queue keeps to its bound", destination.name), found);
                }
                if standing.in_flight > *in_flight_max {
                    let found = format!("{} of {in_flight_max}", standing.in_flight);
                    note(
                        format!("{} is given no more than in_flight", destination.name),
                        found,
                    );
                }
            }
            let healed = start.elapsed() > HEALED;
            sleep(if healed { SWEEP } else { Duration::from_millis(7) }).await;
        }
    })
}

fn settings(case: &DestinationCase) -> Settings {
    Settings {
        order_by: if case.keyed { KeyRule::Key } else { KeyRule::None },
        retry: Retry {
            attempts: case.attempts,
            initial: case.retry_initial,
            max: case.retry_max,
            unavailable: case.unavailable,
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
    }
}

fn stance(number: usize, case: &IngressCase, plain: &[NodeId]) -> Stance {
    Stance {
        number: u16::try_from(number).expect("few"),
        unmatched: match case.unmatched {
            Stray::Forget => Unmatched::Discard,
            Stray::Reject => Unmatched::Reject,
            Stray::To(destination) => Unmatched::To(plain[destination]),
        },
        malformed: match case.malformed {
            Stray::Forget => Malformed::Drop,
            Stray::Reject => Malformed::Reject,
            Stray::To(destination) => Malformed::DeadLetter(plain[destination]),
        },
    }
}

/// The table, and the node of each destination.
fn table(case: &Case) -> (Table, Vec<NodeId>) {
    let mut plans = Plans::default();
    let dest = |at: usize| Node::To(DestId(u16::try_from(at).expect("few")));
    let plain: Vec<NodeId> = (0..case.destinations.len())
        .map(|at| plans.add(dest(at)))
        .collect();
    let mut groups = Vec::new();
    for (number, group) in case.groups.iter().enumerate() {
        let members: Vec<NodeId> = group
            .members
            .iter()
            .map(|part| node(&mut plans, &plain, &groups, part))
            .collect();
        groups.push(plans.add(group_node(number, group.kind, members)));
    }
    let mut routes = Vec::new();
    let mut rules = Vec::new();
    for (number, route) in case.routes.iter().enumerate() {
        let parts: Vec<NodeId> = route
            .parts
            .iter()
            .map(|part| node(&mut plans, &plain, &groups, part))
            .collect();
        routes.push(Route {
            name: format!("r{number}").into(),
            parts: parts.into(),
            add: Box::default(),
            dead_letter: route.dead_letter.map(|at| plain[at]),
            max_age: route.max_age,
        });
        rules.push(rule(u32::try_from(number).expect("few"), route));
    }
    (
        Table {
            routes,
            plans,
            index: Index::new(rules),
        },
        plain,
    )
}

fn node(plans: &mut Plans, plain: &[NodeId], groups: &[NodeId], part: &Part) -> NodeId {
    match part {
        Part::Destination(at) => plain[*at],
        Part::Group(at) => groups[*at],
        Part::All(all) => plans.add(Node::All(all.iter().map(|at| plain[*at]).collect())),
    }
}

fn group_node(number: usize, kind: GroupKind, members: Vec<NodeId>) -> Node {
    let (policy, wait) = match kind {
        GroupKind::RoundRobin => (Pick::RoundRobin, false),
        GroupKind::Weighted => (Pick::Weighted, false),
        GroupKind::LeastPending => (Pick::LeastPending, false),
        GroupKind::Hash { wait } => (Pick::Hash, wait),
        GroupKind::Fallback { unavailable, timeout } => {
            let on = FallbackOn {
                refused: true,
                unavailable,
                timeout,
            };
            return Node::First(Fallback {
                members: members.into(),
                on,
            });
        }
    };
    let weights: Vec<u32> = (1..).take(members.len()).collect();
    let member = |(at, node): (usize, NodeId)| Member {
        node,
        weight: weights[at],
        seed: hash(format!("group {number} member {at}").as_bytes()),
    };
    Node::Any(Anycast {
        members: members.into_iter().enumerate().map(member).collect(),
        policy,
        wait,
        turn: 0.into(),
        sequence: smooth_sequence(&weights),
        key: KeyRule::Key,
    })
}

fn rule(number: u32, route: &RouteCase) -> Rule {
    let exact = |ty: &usize| FilterExpr::Exact([("type".to_owned(), format!("com.acme.t{ty}"))].into());
    let filter = route.types.as_ref().map(|types| {
        let any = FilterExpr::Any(types.iter().map(exact).collect());
        if route.not {
            FilterExpr::Not(Box::new(any))
        } else {
            any
        }
    });
    let filters: Vec<FilterExpr> = filter.into_iter().collect();
    let from = route
        .from
        .as_ref()
        .map(|from| from.iter().map(|at| u16::try_from(*at).expect("few")).collect());
    Rule {
        route: number,
        from,
        predicate: Arc::new(Predicate::compile_all(&filters).expect("a valid filter")),
    }
}
