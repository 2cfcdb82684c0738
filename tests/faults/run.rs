//! One run of a scenario: the load goes on, the fault strikes at seeded instants in the middle of it, and in the end
//! the ledger is judged.
//!
//! A run that saw no fault, or fewer than [`ACKNOWLEDGED_MIN`] acknowledged events, is void: it proves nothing and fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_rig::{Weft, WeftBuilder};

use crate::arena::Arena;
use crate::arrive::{Arrivals, Sink};
use crate::flow::{End, File, Place};
use crate::ledger::Ledger;
use crate::scenario::Scenario;
use crate::support;

/// Fewer prove nothing.
pub(crate) const ACKNOWLEDGED_MIN: usize = 10_000;
/// Nothing moves for so long: what is missing will not come.
const STALLED: Duration = Duration::from_secs(45);
/// Nothing moves for so long while the router has nothing under way: what may come twice has come.
const AT_REST: Duration = Duration::from_millis(500);
const PACE: Duration = Duration::from_millis(20);
/// The part of the load in which the fault strikes, in percent.
const STRIKES_IN: (usize, usize) = (10, 80);

/// Small segments, so that many begin, end and go in one run.
const STORE: &str = "\nstore: { path: \"${DIR}/store\", max_bytes: 16MiB, keep_free: 64MiB }";

/// A run under way, as a scenario sees it.
pub(crate) struct Run<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) arena: &'a mut Arena,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) random: fastrand::Rng,
    pub(crate) from: Place,
    pub(crate) to: Vec<Place>,
    pub(crate) arrivals: Vec<Arrivals>,
    /// The router's file; [`Run::reload`] writes it again.
    pub(crate) file: File,
    /// Environment and arguments of the router, until it starts.
    pub(crate) builder: Option<WeftBuilder>,
    router: Option<Weft>,
    began: Instant,
    /// How often the fault struck.
    pub(crate) struck: usize,
    /// Whatever the scenario wants to keep from one strike to the next.
    pub(crate) kept: Vec<Box<dyn std::any::Any>>,
}

/// What a run came to.
pub(crate) struct Outcome {
    pub(crate) acknowledged: usize,
    pub(crate) duplicates: usize,
    pub(crate) lost: usize,
    pub(crate) struck: usize,
    pub(crate) seconds: f64,
    /// What is wrong with it; nothing, as a rule.
    pub(crate) wrong: Vec<String>,
}

impl Run<'_> {
    /// The router.
    pub(crate) fn weft(&mut self) -> &mut Weft {
        self.router.as_mut().expect("it was started before the load")
    }

    /// Kills the router and starts it again.
    pub(crate) fn kill_weft(&mut self) {
        self.weft().kill9();
        self.weft().restart();
    }

    /// Gives the router a dead letter for everything, a topic; what comes there is in the ledger. For `prepare`.
    pub(crate) fn add_dead_letter(&mut self) {
        let kafka = self.arena.kafka();
        let topic = kafka.topic("dead", 1);
        let letters = Arrivals::dead_letter(kafka, &topic, &self.ledger);
        let brokers = kafka.brokers();
        let file = &mut self.file;
        file.more.push(format!(
            "dead: {{ kafka: {{ brokers: [\"{brokers}\"], topic: {topic} }} }}"
        ));
        file.ingress_keys.push("dead_letter: dead".to_owned());
        file.route_keys.push("dead_letter: dead".to_owned());
        self.kept.push(Box::new(letters));
    }

    /// Lets a time pass in which nothing may arrive once what was under way is there: the mark of a freeze.
    ///
    /// # Panics
    /// Something arrived all the same: the run is void.
    pub(crate) fn nothing_moves_for(&self, time: Duration) {
        self.ledger.wait(AT_REST, |_| false);
        let before = self.ledger.progress();
        assert!(
            before < self.scenario.events,
            "void: all was over before the freeze"
        );
        let end = Instant::now() + time;
        while Instant::now() < end {
            std::thread::park_timeout(end.saturating_duration_since(Instant::now()));
        }
        assert_eq!(
            self.ledger.progress(),
            before,
            "void: events arrived in the freeze"
        );
    }

    /// Writes the file as it is now, and makes the router read it.
    pub(crate) fn reload(&mut self) {
        let yaml = support::with_head(&self.file.yaml());
        self.weft().rewrite(&yaml);
        self.weft().sighup();
    }

    /// The HTTP receiver of a destination.
    pub(crate) fn sink(&self, leg: usize) -> &Sink {
        match &self.arrivals[leg] {
            Arrivals::Http(sink) => sink,
            Arrivals::Thread(_) => panic!("destination {leg} is not HTTP"),
        }
    }

    /// The same, to be closed and opened.
    pub(crate) fn sink_mut(&mut self, leg: usize) -> &mut Sink {
        match &mut self.arrivals[leg] {
            Arrivals::Http(sink) => sink,
            Arrivals::Thread(_) => panic!("destination {leg} is not HTTP"),
        }
    }

    /// Waits until the account is as wanted; says whether it is before nothing moves for [`STALLED`].
    pub(crate) fn wait_until(&self, wanted: impl Fn(&crate::ledger::Account) -> bool) -> bool {
        self.ledger.wait(STALLED, wanted)
    }

    /// Waits until the router, or the world around it, is as wanted; panics with the router's log.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + support::LIMIT;
        while !look(self) {
            assert!(
                Instant::now() < end,
                "{what}: not so; the log:\n{}",
                self.weft().log().tail()
            );
            std::thread::park_timeout(PACE);
        }
    }

    /// Waits until so many events more have arrived, or all have; says whether that was so within [`STALLED`].
    pub(crate) fn wait_arrivals(&self, more: usize) -> bool {
        let wanted = (self.ledger.progress() + more).min(self.scenario.events);
        let progress = |account: &crate::ledger::Account| account.progress() >= wanted;
        self.ledger.wait(STALLED, progress)
    }
}

/// Runs a scenario once. Panics where the rig itself fails.
pub(crate) fn run(scenario: &Scenario, seed: u64) -> Outcome {
    let mut arena = Arena::take();
    let arena = &mut *arena;
    let began = Instant::now();
    let flow = &scenario.flow;
    let ledger = Arc::new(Ledger::new(scenario.events, flow.to.len(), flow.shares));
    let from = Place::ingress(flow, arena);
    let mut to = Vec::new();
    let mut arrivals = Vec::new();
    for (leg, end) in flow.to.iter().enumerate() {
        let (place, there) = Place::destination(*end, leg, arena, &ledger);
        to.push(place);
        arrivals.push(there);
    }
    let file = File {
        sections: "limits: { memory: 64MiB }".to_owned(),
        ingress: from.ingress_yaml(arena),
        ingress_keys: Vec::new(),
        destinations: to.iter().map(|place| place.destination_yaml(arena)).collect(),
        destination_keys: vec!["breaker: { initial: 100ms, max: 1s }".to_owned()],
        more: Vec::new(),
        route_keys: Vec::new(),
        shares: flow.shares,
    };
    let mut run = Run {
        scenario,
        arena,
        ledger,
        random: fastrand::Rng::with_seed(seed),
        from,
        to,
        arrivals,
        file,
        builder: Some(support::weft("")),
        router: None,
        began,
        struck: 0,
        kept: Vec::new(),
    };
    if flow.stored {
        run.file.sections.push_str(STORE);
        run.file.destination_keys.push("store: true".to_owned());
    }
    (scenario.prepare)(&mut run);
    let builder = run.builder.take().expect("it is taken here");
    let yaml = support::with_head(&run.file.yaml());
    let mut weft = builder.config(&yaml).start();
    // What is published before the router has subscribed is nobody's.
    weft.log()
        .wait_for("the ingress to be ready", support::LIMIT, |line| {
            line.contains("ready") && line.contains("ingress") && line.contains("name=in")
        });
    weft.wait_ready();
    run.router = Some(weft);
    let load = run
        .from
        .load(run.arena, (scenario.events, flow), &run.ledger, scenario.more);
    let mut wrong = run.strike_all();
    run.come_to_rest();
    run.tell("at rest");
    drop(load);
    run.judge(&mut wrong);
    if wrong.is_empty() {
        (scenario.check)(&mut run);
    }
    let (acknowledged, duplicates, lost) = run.ledger.read(|account| {
        let duplicates = account.legs.iter().map(crate::ledger::Leg::duplicates).sum();
        let lost = (0..account.legs.len()).map(|leg| account.lost(leg).len()).sum();
        (account.acknowledged, duplicates, lost)
    });
    Outcome {
        acknowledged,
        duplicates,
        lost,
        struck: run.struck,
        seconds: began.elapsed().as_secs_f64(),
        wrong,
    }
}

impl Run<'_> {
    /// Says what happens when, with `WEFT_FAULTS_TELL` set.
    pub(crate) fn tell(&self, what: &str) {
        if std::env::var("WEFT_FAULTS_TELL").is_ok_and(|text| !text.is_empty()) {
            let (acknowledged, came) = self.ledger.read(|account| {
                let came: Vec<usize> = account.legs.iter().map(|leg| leg.distinct).collect();
                (account.acknowledged, came)
            });
            let time = self.began.elapsed().as_secs_f64();
            eprintln!("  {time:6.1} s: {what}; {acknowledged} acknowledged, {came:?} there");
        }
    }

    /// Strikes at seeded instants: one in each of as many equal parts of the middle of the load.
    fn strike_all(&mut self) -> Vec<String> {
        let (events, strikes) = (self.scenario.events, self.scenario.strikes);
        // A store takes what no destination has yet.
        let flow = &self.scenario.flow;
        let by_senders = flow.stored && flow.from == End::Http;
        let progress = move |account: &crate::ledger::Account| {
            if by_senders {
                account.acknowledged
            } else {
                account.progress()
            }
        };
        let (low, high) = (events * STRIKES_IN.0 / 100, events * STRIKES_IN.1 / 100);
        let part = (high - low) / strikes;
        for n in 0..strikes {
            let at = low + n * part + self.random.usize(0..part);
            let reached = |account: &crate::ledger::Account| progress(account) >= at;
            if !self.ledger.wait(STALLED, reached) {
                return vec![format!("stalled before strike {n} at {at} events")];
            }
            let seen = self.ledger.read(progress);
            if seen >= events {
                return vec![format!("void: all was over before strike {n} at {at} events")];
            }
            self.tell(&format!("strike {n} at {seen} events"));
            let scenario = self.scenario;
            (scenario.strike)(self);
            self.struck += 1;
            self.tell(&format!("strike {n} is over"));
        }
        Vec::new()
    }

    /// Waits until everything has arrived and the router has nothing under way, or nothing moves any more.
    fn come_to_rest(&mut self) {
        self.ledger.wait(STALLED, crate::ledger::Account::is_complete);
        self.tell("complete, or nothing moves");
        let end = Instant::now() + STALLED;
        while Instant::now() < end {
            let quiet = self.ledger.read(crate::ledger::Account::quiet);
            let weft = self.weft();
            let pending = if weft.ended().is_none() {
                weft.metrics().sum("weft_obligations_pending", &[])
            } else {
                0.0
            };
            if quiet >= AT_REST && pending < 0.5 {
                return;
            }
            std::thread::park_timeout(AT_REST / 10);
        }
    }

    fn judge(&mut self, wrong: &mut Vec<String>) {
        let scenario = self.scenario;
        let struck = self.struck;
        let log = self
            .router
            .as_ref()
            .map(|weft| weft.log().tail())
            .unwrap_or_default();
        let mut say = |text: String| wrong.push(text);
        if struck < scenario.strikes {
            say(format!(
                "void: the fault struck {struck} times, not {}",
                scenario.strikes
            ));
        }
        self.ledger.read(|account| {
            if account.acknowledged < ACKNOWLEDGED_MIN {
                say(format!("void: {} events acknowledged", account.acknowledged));
            }
            if account.acknowledged < scenario.events {
                say(format!(
                    "{} of {} acknowledged",
                    account.acknowledged, scenario.events
                ));
            }
            for (n, leg) in account.legs.iter().enumerate() {
                let lost = account.lost(n);
                let first = |numbers: &[usize]| format!("{:?}", &numbers[..numbers.len().min(10)]);
                if !lost.is_empty() {
                    say(format!(
                        "{} lost on the way to out-{n}: {}; the log:\n{log}",
                        lost.len(),
                        first(&lost)
                    ));
                }
                if !leg.damaged.is_empty() {
                    say(format!(
                        "{} damaged at out-{n}: {}",
                        leg.damaged.len(),
                        first(&leg.damaged)
                    ));
                }
                if leg.foreign > 0 {
                    say(format!("{} foreign events at out-{n}", leg.foreign));
                }
                let bound = struck * scenario.duplicates + account.sent_again;
                if leg.duplicates() > bound {
                    say(format!(
                        "{} duplicates at out-{n}, at most {bound}; the log:\n{log}",
                        leg.duplicates()
                    ));
                }
                if scenario.is_ordered && scenario.flow.keeps_order(n) && !leg.late.is_empty() {
                    say(format!(
                        "{} out of order at out-{n}: {}",
                        leg.late.len(),
                        first(&leg.late)
                    ));
                }
            }
        });
    }
}
