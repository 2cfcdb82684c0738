//! `make kills RUNS=1000`: a router with a store is killed at random instants, whatever it does then: under load, in the
//! middle of a start, with its destination up, slow, flapping, refusing or away, with room in its log and without. A line
//! every [`LINE`] kills, and the sums in the end.
//!
//! What holds (C1, C4, C20, C24, C28): nothing that was acknowledged is lost; in no life is more repeated than a window; the
//! first deliveries of a key come in order.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use weft_rig::{Reply, Weft, free_port};

use crate::arrive::Sink;
use crate::flow::STORE_WINDOW;
use crate::ledger::{Account, Ledger};
use crate::load::{CLIENTS, Load};
use crate::support::{self, Books, LIMIT};

/// Kills between two lines.
const LINE: usize = 50;
/// A life lasts so long at most, from the launch of the process on; one of [`SHORT`] about as long as a start.
const LIFE_MS: u64 = 1_400;
const START_MS: u64 = 60;
const SHORT: u32 = 6;
/// Kills between two moods of the destination, at most.
const MOOD: usize = 6;
/// More events for each kill than are sent between two.
const EVENTS: usize = 8_000;
/// Small enough to be full now and then.
const STORE: &str = "store: { path: \"${DIR}/store\", max_bytes: 16MiB, keep_free: 64MiB }";

/// What the destination does.
#[derive(Clone, Copy, Debug)]
enum Mood {
    Up,
    Slow,
    Flapping,
    Refusing,
    Away,
}

const MOODS: [Mood; 7] = [
    Mood::Up,
    Mood::Up,
    Mood::Up,
    Mood::Slow,
    Mood::Flapping,
    Mood::Refusing,
    Mood::Away,
];

/// The world around the router.
struct Kills {
    weft: Weft,
    sink: Sink,
    ledger: Arc<Ledger>,
    random: fastrand::Rng,
    away: bool,
    /// Repetitions before this life, and the most in one.
    repeated: usize,
    worst: usize,
    /// Lives that ended before they were ready.
    unready: usize,
    began: Instant,
}

/// Kills so often; panics where a promise is broken.
pub(crate) fn run(kills: usize, seed: u64) {
    let ledger = Arc::new(Ledger::new(kills * EVENTS, 1, false));
    let sink = Sink::start(0, &ledger);
    let port = free_port();
    let mut yaml = format!("limits: {{ memory: 64MiB }}\n{STORE}\n");
    write!(
        yaml,
        "ingress:\n  in: {{ http: {{ listen: \"127.0.0.1:{port}\" }} }}\n\
         destinations:\n  out-0:\n    http: {{ url: \"{}\" }}\n    store: true\n    breaker: {{ initial: 50ms, max: 500ms }}\n\
         routes:\n  all: {{ to: out-0 }}\n",
        sink.url()
    )
    .expect("writing to a string");
    eprintln!("{kills} kills, seed {seed}");
    let mut world = Kills {
        weft: support::weft(&yaml).start(),
        sink,
        ledger: Arc::clone(&ledger),
        random: fastrand::Rng::with_seed(seed),
        away: false,
        repeated: 0,
        worst: 0,
        unready: 0,
        began: Instant::now(),
    };
    let load = Load::http(
        "127.0.0.1",
        port,
        (kills * EVENTS, CLIENTS, usize::MAX / 2),
        &ledger,
    );
    let mut acknowledged = 0;
    let mut left = 0;
    for n in 1..=kills {
        if left == 0 {
            left = world.random.usize(1..=MOOD);
            world.change_mood();
        }
        left -= 1;
        world.live_and_die();
        if n % LINE == 0 || n == kills {
            eprintln!("{}", world.line(n));
            let now = ledger.read(|account| account.acknowledged);
            assert!(now > acknowledged, "void: nothing was acknowledged between kills");
            acknowledged = now;
        }
    }
    world.heal();
    world.weft.wait_ready();
    drop(load);
    world.drain();
    world.judge(kills);
}

impl Kills {
    fn change_mood(&mut self) {
        self.heal();
        match MOODS[self.random.usize(..MOODS.len())] {
            Mood::Up => {}
            Mood::Slow => {
                let reply = || Reply::status(204).after(Duration::from_millis(20));
                self.sink.reply(move |_, _| reply());
            }
            Mood::Flapping => {
                let count = AtomicUsize::new(0);
                let turn = self.random.usize(5..200);
                self.sink.respond(move |_| {
                    let up = (count.fetch_add(1, Ordering::Relaxed) / turn).is_multiple_of(2);
                    if up { 204 } else { 503 }
                });
            }
            Mood::Refusing => self.sink.respond(|_| 503),
            Mood::Away => {
                self.sink.receiver.close();
                self.away = true;
            }
        }
    }

    fn heal(&mut self) {
        if std::mem::take(&mut self.away) {
            self.sink.receiver.open();
        }
        self.sink.heal();
        // It keeps every request.
        self.sink.receiver.forget();
    }

    /// From one launch to the end of that process, and the next launch.
    fn live_and_die(&mut self) {
        let is_short = self.random.u32(..SHORT) == 0;
        let most = if is_short { START_MS } else { LIFE_MS };
        let end = Instant::now() + Duration::from_millis(self.random.u64(..most));
        // The instant is the point: nothing that could be waited for.
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        self.unready += usize::from(!self.weft.is_ready());
        assert!(
            self.weft.ended().is_none(),
            "it ended by itself:\n{}",
            self.weft.log().tail()
        );
        self.weft.kill9();
        let repeated = self.ledger.read(|account| account.legs[0].repeated);
        self.worst = self.worst.max(repeated - self.repeated);
        self.repeated = repeated;
        self.weft.launch_again();
    }

    fn drain(&mut self) {
        let end = Instant::now() + 10 * LIMIT;
        while self.weft.metrics().sum("weft_store_pending_events", &[]) > 0.5 {
            assert!(
                Instant::now() < end,
                "the log is not empty:\n{}",
                self.weft.log().tail()
            );
            std::thread::park_timeout(Duration::from_millis(50));
        }
        // Its last answer may be on its way still.
        self.ledger.wait(Duration::from_millis(500), |_| false);
        let repeated = self.ledger.read(|account| account.legs[0].repeated);
        self.worst = self.worst.max(repeated - self.repeated);
    }

    fn judge(&mut self, kills: usize) {
        let metrics = self.weft.metrics();
        Books::of(&metrics).assert_balanced();
        let damaged = metrics.sum("weft_store_settled_total", &[("result", "damaged")]);
        assert_eq!(damaged.round(), 0.0, "damaged records");
        let quarantine = self.weft.dir().join("store/quarantine");
        // What a kill tore off the end of a file has a copy, too, and is no damage.
        let set_aside = std::fs::read_dir(&quarantine)
            .expect("the store is there")
            .filter(|entry| {
                let path = entry.as_ref().expect("a name").path();
                path.extension().is_some_and(|extension| extension == "bad")
            })
            .count();
        assert_eq!(set_aside, 0, "set aside in {}", quarantine.display());
        eprintln!("{}", self.line(kills));
        let (worst, unready) = (self.worst, self.unready);
        self.ledger.read(|account: &Account| {
            let leg = &account.legs[0];
            let lost = account.lost(0);
            eprintln!(
                "{kills} kills ({unready} before it was ready): {} acknowledged, {} lost, {} out of order, {} changed; \
                 {} repeated by the router, {worst} at most in one life (the window is {STORE_WINDOW}); \
                 {} sent again by their senders, {} refused",
                account.acknowledged,
                lost.len(),
                leg.late.len(),
                leg.damaged.len(),
                leg.repeated,
                account.sent_again,
                account.refused,
            );
            assert!(lost.is_empty(), "lost: {:?}", &lost[..lost.len().min(20)]);
            assert!(
                leg.damaged.is_empty() && leg.foreign == 0,
                "changed or foreign events"
            );
            assert!(leg.late.is_empty(), "out of order: {:?}", leg.late);
            assert!(worst <= STORE_WINDOW, "{worst} repeated in one life");
            assert!(
                account.acknowledged > 20 * kills,
                "void: {} acknowledged over {kills} kills",
                account.acknowledged
            );
        });
    }

    fn line(&self, n: usize) -> String {
        let seconds = self.began.elapsed().as_secs();
        self.ledger.read(|account| {
            let leg = &account.legs[0];
            format!(
                "{n:5} kills, {seconds:4} s: {} acknowledged, {} arrived, {} repeated, {} at most in one life, {} sent again, {} refused",
                account.acknowledged, leg.distinct, leg.repeated, self.worst, account.sent_again, account.refused
            )
        })
    }
}
