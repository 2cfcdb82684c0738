//! The brokers that these tests kill: one Kafka and one Artemis (AMQP and MQTT, with a journal), which the tests take one
//! after the other. They outlive each of them; names do not.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use weft_rig::{Artemis, Broker, Kafka, Private, Weft, eventually};

use crate::support::LIMIT;

static STAGE: Mutex<Option<Stage>> = Mutex::new(None);

/// Who is killed, and how often each was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Victim {
    Weft,
    Kafka,
    Artemis,
}

impl Victim {
    pub(crate) const ALL: [Victim; 3] = [Victim::Weft, Victim::Kafka, Victim::Artemis];
}

/// Each of them twice, and in every order of two.
const KILLS: [Victim; 7] = [
    Victim::Weft,
    Victim::Artemis,
    Victim::Kafka,
    Victim::Weft,
    Victim::Kafka,
    Victim::Artemis,
    Victim::Weft,
];

/// The order of the kills, or those of `WEFT_TEST_KILLS` (`weft,kafka`) to find out what one of them does.
fn order() -> Vec<Victim> {
    let Ok(names) = std::env::var("WEFT_TEST_KILLS") else {
        return KILLS.to_vec();
    };
    let victim = |name: &str| {
        Victim::ALL
            .into_iter()
            .find(|v| format!("{v:?}").eq_ignore_ascii_case(name))
    };
    names
        .split(',')
        .map(|name| victim(name).expect("weft, kafka or artemis"))
        .collect()
}

/// Both brokers, running.
pub(crate) struct Stage {
    pub(crate) kafka: Broker,
    pub(crate) artemis: Private<Artemis>,
    /// Of this test.
    pub(crate) kills: Vec<Victim>,
}

/// The stage while a test has it.
pub(crate) struct Taken(MutexGuard<'static, Option<Stage>>);

impl Deref for Taken {
    type Target = Stage;

    fn deref(&self) -> &Stage {
        self.0.as_ref().unwrap()
    }
}

impl DerefMut for Taken {
    fn deref_mut(&mut self) -> &mut Stage {
        self.0.as_mut().unwrap()
    }
}

impl Stage {
    /// Waits for its turn.
    pub(crate) fn take() -> Taken {
        let mut slot = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let stage = slot.get_or_insert_with(|| Stage {
            kafka: Kafka::private(),
            artemis: Artemis::private(),
            kills: Vec::new(),
        });
        // A test may have failed in the middle of a kill.
        if stage.kafka.pid().is_none() {
            stage.kafka.start();
        }
        if stage.artemis.pid().is_none() {
            stage.artemis.start();
        }
        stage.kills.clear();
        Taken(slot)
    }

    /// Kills each in turn while a flow of `events` goes on, spread over it, and starts it again.
    pub(crate) fn kill_in_turn(&mut self, weft: &mut Weft, events: usize) {
        let mut before = 0;
        let order = order();
        for (n, victim) in order.iter().copied().enumerate() {
            let wanted = (n + 1) * events / (order.len() + 2);
            let mut seen = 0;
            eventually(
                &format!("{wanted} events before kill {n} ({victim:?})"),
                LIMIT,
                || {
                    seen = before + delivered(weft);
                    (seen >= wanted).then_some(())
                },
            );
            assert!(seen < events, "void: all was done before kill {n} ({victim:?})");
            match victim {
                Victim::Weft => {
                    before = seen;
                    weft.kill9();
                    weft.restart();
                }
                Victim::Kafka => {
                    self.kafka.kill9();
                    self.kafka.start();
                }
                Victim::Artemis => {
                    self.artemis.kill9();
                    self.artemis.start();
                }
            }
            self.kills.push(victim);
        }
        for victim in order {
            assert!(self.kills.contains(&victim), "void: {victim:?} was not killed");
        }
    }
}

/// Of this life of the router; repeats count.
fn delivered(weft: &Weft) -> usize {
    weft.metrics()
        .sum("weft_obligations_settled_total", &[("result", "delivered")]) as usize
}
