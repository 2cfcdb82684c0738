//! The brokers that the runs hurt, one of each, started when a run needs it. They outlive the runs; names do not. Runs
//! take the arena one after the other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use weft_rig::{Artemis, Broker, Hop, Lacking, Mosquitto, Private};

static ARENA: Mutex<Arena> = Mutex::new(Arena {
    kafka: None,
    artemis: None,
    mosquitto: None,
    hop: None,
    far: String::new(),
});

/// What a run may need of Mosquitto: it lives, so nothing has to be on its disk; writing a long queue again and again
/// takes it minutes.
const MOSQUITTO: &str = "autosave_on_changes false\nautosave_interval 0";

/// See the module.
pub(crate) struct Arena {
    kafka: Option<Broker>,
    artemis: Option<Private<Artemis>>,
    mosquitto: Option<Private<Mosquitto>>,
    hop: Option<Result<Hop, Lacking>>,
    /// Where Kafka is on the other side of the hop.
    far: String,
}

impl Arena {
    /// Waits for its turn.
    pub(crate) fn take() -> MutexGuard<'static, Arena> {
        let mut arena = ARENA.lock().unwrap_or_else(PoisonError::into_inner);
        // A run may have failed in the middle of a freeze.
        if let Some(kafka) = arena.kafka.as_mut().filter(|kafka| kafka.pid().is_some()) {
            kafka.thaw();
        }
        if let Some(artemis) = arena.artemis.as_mut().filter(|artemis| artemis.pid().is_some()) {
            artemis.thaw();
        }
        if let Some(mosquitto) = arena.mosquitto.as_mut().filter(|broker| broker.pid().is_some()) {
            mosquitto.thaw();
        }
        arena
    }

    /// Kafka, with a data directory of its own.
    pub(crate) fn kafka(&mut self) -> &mut Broker {
        if self.kafka.is_none() {
            // It tells its clients its address, so that it has to know the far one from the beginning.
            let kafka = if let Ok(hop) = self.hop() {
                let (kafka, far) = Broker::reserve_behind(hop);
                self.far = far;
                kafka
            } else {
                Broker::reserve()
            };
            self.kafka = Some(kafka);
        }
        let kafka = self.kafka.as_mut().expect("it was made just now");
        // A run may have failed in the middle of a kill.
        if kafka.pid().is_none() {
            kafka.start();
        }
        kafka
    }

    /// The network on the way to every broker and receiver, for who takes it, or why there is none here.
    pub(crate) fn hop(&mut self) -> Result<&Hop, Lacking> {
        let hop = self.hop.get_or_insert_with(Hop::new);
        hop.as_ref().map_err(Lacking::clone)
    }

    /// Kafka's address on the other side of the hop.
    pub(crate) fn far_kafka(&mut self) -> String {
        self.kafka();
        self.far.clone()
    }

    /// Artemis, with a journal: what it confirmed survives a kill, over AMQP and over MQTT.
    pub(crate) fn artemis(&mut self) -> &mut Private<Artemis> {
        let artemis = self.artemis.get_or_insert_with(Artemis::private);
        if artemis.pid().is_none() {
            artemis.start();
        }
        artemis
    }

    /// Mosquitto; what it confirmed survives a stop only.
    pub(crate) fn mosquitto(&mut self) -> &mut Private<Mosquitto> {
        let mosquitto = self
            .mosquitto
            .get_or_insert_with(|| Mosquitto::reserve_with(MOSQUITTO));
        if mosquitto.pid().is_none() {
            mosquitto.start();
        }
        mosquitto
    }
}
