//! A real RabbitMQ with its plug-ins for AMQP 1.0 and MQTT 3.1.1. It owns the configuration; the process is
//! [`Private`]'s.
//!
//! Its AMQP addresses are `/queue/NAME`, which makes a durable queue, `/amq/queue/NAME` for one that is there, and
//! `/topic/KEY`, which is MQTT's topic with `.` for `/`. A start takes long: take the shared one.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::private::{Private, Recipe};
use crate::shared::{Shared, shared};
use crate::{Dir, cache, free_port};

/// A start takes ten seconds on an idle machine, half of which it waits for a cluster that does not come.
const START_LIMIT: Duration = Duration::from_secs(240);

/// The user, who is also whoever names none.
pub const USER: &str = "guest";

/// The password of [`USER`].
pub const PASSWORD: &str = "guest";

/// Where a RabbitMQ serves.
#[derive(Debug, Clone)]
pub struct RabbitMq {
    amqp: u16,
    mqtt: u16,
}

impl RabbitMq {
    /// The broker that all tests share: the one of the runner, else one that lives as long as this test binary. Keep to
    /// queues, topics and client ids of your own; to hurt it take [`RabbitMq::private`].
    #[must_use]
    pub fn shared() -> &'static Self {
        static SLOT: OnceLock<(RabbitMq, Option<Private<RabbitMq>>)> = OnceLock::new();
        shared(&SLOT)
    }

    /// A broker of one's own, started.
    #[must_use]
    pub fn private() -> Private<Self> {
        <Self as Shared>::private()
    }

    /// AMQP on plain TCP: SASL ANONYMOUS and PLAIN.
    #[must_use]
    pub fn amqp_port(&self) -> u16 {
        self.amqp
    }

    /// MQTT 3.1.1 on plain TCP, anonymous or with [`USER`] and [`PASSWORD`].
    #[must_use]
    pub fn mqtt_port(&self) -> u16 {
        self.mqtt
    }

    /// `amqp://127.0.0.1:PORT`.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.amqp)
    }

    /// `mqtt://127.0.0.1:PORT`.
    #[must_use]
    pub fn mqtt_url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.mqtt)
    }
}

impl Shared for RabbitMq {
    const VARIABLE: &'static str = "WEFT_TEST_RABBITMQ";

    fn reserve() -> Private<Self> {
        let broker = Self {
            amqp: free_port(),
            mqtt: free_port(),
        };
        let dir = Dir::new("rabbitmq");
        dir.write("enabled_plugins", "[rabbitmq_amqp1_0,rabbitmq_mqtt].\n");
        dir.write("rabbitmq.conf", &configuration(&broker));
        let mut command = Command::new(cache::source("rabbitmq/run.sh"));
        command.arg(cache::rabbitmq()).arg(dir.path());
        // Erlang's port mapper, and where the node takes others of a cluster.
        command.args([free_port().to_string(), free_port().to_string()]);
        let recipe = Recipe {
            name: "RabbitMQ",
            command,
            log: |process| &process.out,
            ready: "Server startup complete",
            start_limit: START_LIMIT,
            dir,
        };
        Private::reserved(broker, recipe)
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.amqp, self.mqtt]
    }

    fn at(ports: &[u16]) -> Option<Self> {
        let &[amqp, mqtt] = ports else { return None };
        Some(Self { amqp, mqtt })
    }
}

fn configuration(broker: &RabbitMq) -> String {
    let lines = [
        format!("listeners.tcp.1 = 127.0.0.1:{}", broker.amqp),
        format!("mqtt.listeners.tcp.1 = 127.0.0.1:{}", broker.mqtt),
        "mqtt.allow_anonymous = true".to_owned(),
        // The machine is shared, and its disk may be nearly full.
        "vm_memory_high_watermark.absolute = 300MB".to_owned(),
        "disk_free_limit.absolute = 10MB".to_owned(),
        "log.console.level = info\n".to_owned(),
    ];
    lines.join("\n")
}
