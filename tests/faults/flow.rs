//! Where the events of a run come from and where they go, and what that means in the router's file.

use std::fmt::Write as _;
use std::sync::Arc;

use weft_rig::{Python, free_port, unique};

use crate::arena::Arena;
use crate::arrive::{Arrivals, Sink};
use crate::event::{KEYS, key, owner};
use crate::ledger::Ledger;
use crate::load::{CLIENTS, Load, More};

/// What one ingress may have unsettled, over all of its lanes.
pub(crate) const WINDOW: usize = 1_000;
/// What the lane of a log may have unsettled, and its acknowledgement not on the disk.
pub(crate) const STORE_WINDOW: usize = 2_048;
/// Of the events of a run, a part of so many may be in a store, so that no strike is long enough for the whole load.
const AHEAD: usize = 5;
pub(crate) const PARTITIONS: usize = 4;

/// One side of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Http,
    Kafka,
    /// Artemis.
    Amqp,
    /// Mosquitto, which keeps the order; over a kill it keeps nothing.
    Mqtt,
    /// Artemis, which keeps what it confirmed over a kill, and changes the order of MQTT by itself.
    Journal,
}

/// A flow: one ingress `in`, and destinations `out-0`, `out-1`, ..., each of which gets every event.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) from: End,
    pub(crate) to: Vec<End>,
    /// Not every event goes everywhere: each goes to its [`owner`] only.
    pub(crate) shares: bool,
    /// Every destination has a store.
    pub(crate) stored: bool,
}

/// The names of one run at its ends.
pub(crate) struct Place {
    pub(crate) end: End,
    /// A topic, an address, a client id and a group, all by this name.
    pub(crate) name: String,
    /// Of an HTTP ingress: where its clients find it.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Of an HTTP destination.
    pub(crate) url: String,
    /// Of a topic.
    pub(crate) partitions: usize,
}

impl End {
    fn word(self) -> &'static str {
        match self {
            End::Http => "HTTP",
            End::Kafka => "Kafka",
            End::Amqp => "AMQP",
            End::Mqtt => "MQTT",
            End::Journal => "MQTT (Artemis)",
        }
    }

    /// Whether first deliveries of a key come in the order of the numbers, from this ingress or to this destination.
    fn keeps_order(self, is_ingress: bool) -> bool {
        match self {
            // Its requests stand beside each other.
            End::Http => !is_ingress,
            End::Kafka | End::Mqtt => true,
            // What comes back to the queue stands behind what was sent from it already.
            End::Amqp => !is_ingress,
            End::Journal => false,
        }
    }
}

impl Flow {
    /// `from` to each of `to`.
    pub(crate) fn new(from: End, to: &[End]) -> Flow {
        Flow {
            from,
            to: to.to_vec(),
            shares: false,
            stored: false,
        }
    }

    /// The same with a store at every destination.
    pub(crate) fn stored(from: End, to: &[End]) -> Flow {
        Flow {
            stored: true,
            ..Flow::new(from, to)
        }
    }

    /// The same where the destinations share the events, and each has a lane or clients of its own at the ingress.
    pub(crate) fn shared(from: End, to: &[End]) -> Flow {
        Flow {
            shares: true,
            ..Flow::new(from, to)
        }
    }

    /// How many lanes lead to destinations of their own, or to which senders keep.
    pub(crate) fn lanes(&self) -> usize {
        match self.from {
            // A client for each of so many parts of the keys: what it has not been told of it does not pass.
            End::Http if self.stored => CLIENTS,
            _ if self.shares => self.to.len(),
            _ => 1,
        }
    }

    /// `HTTP > Kafka + AMQP`.
    pub(crate) fn name(&self) -> String {
        if self.shares {
            return format!(
                "{} > one of {} {}",
                self.from.word(),
                self.to.len(),
                self.to[0].word()
            );
        }
        let to: Vec<&str> = self.to.iter().map(|end| end.word()).collect();
        let store = if self.stored { "[store] > " } else { "" };
        format!("{} > {store}{}", self.from.word(), to.join(" + "))
    }

    /// Whether first deliveries of a key to this destination must come in order (C20).
    pub(crate) fn keeps_order(&self, leg: usize) -> bool {
        let one_by_one = self.stored && self.from == End::Http;
        (one_by_one || self.from.keeps_order(true)) && self.to[leg].keeps_order(false)
    }
}

impl Place {
    /// A place for events to come from.
    pub(crate) fn ingress(flow: &Flow, arena: &mut Arena) -> Place {
        let end = flow.from;
        let mut place = Place {
            end,
            partitions: if flow.shares { flow.to.len() } else { PARTITIONS },
            name: unique("in"),
            host: "127.0.0.1".to_owned(),
            port: 0,
            url: String::new(),
        };
        match end {
            End::Http => place.port = free_port(),
            End::Kafka => place.make_topic(arena),
            _ => {}
        }
        place
    }

    /// A place for events to go to, and who waits for them there.
    pub(crate) fn destination(
        end: End,
        leg: usize,
        arena: &mut Arena,
        ledger: &Arc<Ledger>,
    ) -> (Place, Arrivals) {
        let mut place = Place {
            end,
            name: unique("out"),
            host: String::new(),
            partitions: PARTITIONS,
            port: 0,
            url: String::new(),
        };
        let arrivals = match end {
            End::Http => {
                let sink = Sink::start(leg, ledger);
                place.url = sink.url();
                Arrivals::Http(sink)
            }
            End::Kafka => {
                place.make_topic(arena);
                Arrivals::kafka(arena.kafka(), &place.name, leg, ledger)
            }
            End::Amqp | End::Mqtt | End::Journal => {
                Arrivals::script(place.script("drain", arena), leg, ledger)
            }
        };
        (place, arrivals)
    }

    fn make_topic(&mut self, arena: &mut Arena) {
        let partitions = i32::try_from(self.partitions).expect("partitions are few");
        self.name = arena.kafka().topic(&self.name, partitions);
    }

    /// The flood or the drain of the rig.
    fn script(&self, kind: &str, arena: &mut Arena) -> Python {
        let (protocol, option, port) = match self.end {
            End::Amqp => ("amqp", "--address", arena.artemis().amqp_port()),
            End::Mqtt => ("mqtt", "--topic", arena.mosquitto().port()),
            _ => ("mqtt", "--topic", arena.artemis().mqtt_port()),
        };
        Python::script(&format!("{protocol}_{kind}.py"))
            .option("--port", port)
            .option(option, &self.name)
    }

    /// Sends all events to this place.
    pub(crate) fn load(
        &self,
        arena: &mut Arena,
        (events, flow): (usize, &Flow),
        ledger: &Arc<Ledger>,
        more: More,
    ) -> Load {
        let lanes = flow.lanes();
        match self.end {
            End::Http => {
                let ahead = if flow.stored {
                    events / AHEAD
                } else {
                    usize::MAX / 2
                };
                Load::http(&self.host, self.port, (events, lanes, ahead), ledger)
            }
            End::Kafka => {
                // Lanes of one destination each wait for none of the others, and a store waits for no destination.
                let waits = lanes == 1 && !flow.stored;
                Load::kafka(arena.kafka(), &self.name, (events, lanes, waits), ledger, more)
            }
            _ => Load::script(self.script("flood", arena), events, ledger),
        }
    }

    /// The connector's section of an ingress, and its window.
    pub(crate) fn ingress_yaml(&self, arena: &mut Arena) -> String {
        let Place { name, port, .. } = self;
        match self.end {
            End::Http => format!("http: {{ listen: \"127.0.0.1:{port}\" }}"),
            End::Kafka => format!(
                "kafka: {{ brokers: [\"{}\"], topics: [{name}], group: {name}, session_timeout: 2s, \
                 librdkafka: {{ heartbeat.interval.ms: 400 }} }}\n    window: {{ events: {} }}",
                arena.kafka().brokers(),
                WINDOW / self.partitions
            ),
            End::Amqp => format!(
                "amqp: {{ url: \"{}\", address: {name}, kind: queue }}\n    window: {{ events: {WINDOW}, bytes: 64MiB }}",
                arena.artemis().amqp_url()
            ),
            End::Mqtt | End::Journal => format!(
                "mqtt: {{ url: \"{}\", subscribe: [{name}], client_id: {name}, max_packet: 64KiB }}\n    \
                 window: {{ events: {WINDOW}, bytes: 64MiB }}",
                self.mqtt_url(arena)
            ),
        }
    }

    /// The connector's section of a destination.
    pub(crate) fn destination_yaml(&self, arena: &mut Arena) -> String {
        let Place { name, url, .. } = self;
        match self.end {
            End::Http => format!("http: {{ url: \"{url}\" }}"),
            End::Kafka => format!(
                "kafka: {{ brokers: [\"{}\"], topic: {name} }}",
                arena.kafka().brokers()
            ),
            End::Amqp => format!(
                "amqp: {{ url: \"{}\", address: {name}, kind: queue }}",
                arena.artemis().amqp_url()
            ),
            End::Mqtt | End::Journal => format!(
                "mqtt: {{ url: \"{}\", topic: {name}, client_id: {name} }}",
                self.mqtt_url(arena)
            ),
        }
    }

    fn mqtt_url(&self, arena: &mut Arena) -> String {
        match self.end {
            End::Mqtt => arena.mosquitto().url(),
            _ => arena.artemis().mqtt_url(),
        }
    }
}

/// The router's file in pieces, for a scenario to change before the start.
pub(crate) struct File {
    /// Under `limits:`, `defaults:` and the like: whole sections.
    pub(crate) sections: String,
    /// What stands under `in:`.
    pub(crate) ingress: String,
    /// Further keys of `in:`.
    pub(crate) ingress_keys: Vec<String>,
    /// What stands under `out-N:`.
    pub(crate) destinations: Vec<String>,
    /// Further keys of every destination.
    pub(crate) destination_keys: Vec<String>,
    /// Further destinations, whole.
    pub(crate) more: Vec<String>,
    /// Further keys of the route.
    pub(crate) route_keys: Vec<String>,
    /// A route for each destination, by the key.
    pub(crate) shares: bool,
}

impl File {
    /// The text, without the head that every test of the binary has.
    pub(crate) fn yaml(&self) -> String {
        let mut text = format!("{}\ningress:\n  in:\n    {}\n", self.sections, self.ingress);
        let mut add = |line: String| writeln!(text, "{line}").expect("writing to a string");
        for key in &self.ingress_keys {
            add(format!("    {key}"));
        }
        add("destinations:".to_owned());
        for (n, destination) in self.destinations.iter().enumerate() {
            add(format!("  out-{n}:\n    {destination}"));
            for key in &self.destination_keys {
                add(format!("    {key}"));
            }
        }
        for line in &self.more {
            add(format!("  {line}"));
        }
        let count = self.destinations.len();
        if self.shares {
            add("routes:".to_owned());
            for leg in 0..count {
                let keys = (0..KEYS).filter(|number| owner(*number, count) == leg);
                let keys: Vec<String> = keys
                    .map(|n| format!("{{ exact: {{ partitionkey: {} }} }}", key(n)))
                    .collect();
                add(format!(
                    "  to-{leg}: {{ filters: [{{ any: [{}] }}], to: out-{leg} }}",
                    keys.join(", ")
                ));
            }
            return text;
        }
        let names: Vec<String> = (0..count).map(|n| format!("out-{n}")).collect();
        add(format!("routes:\n  all:\n    to: [{}]", names.join(", ")));
        for key in &self.route_keys {
            add(format!("    {key}"));
        }
        text
    }
}
