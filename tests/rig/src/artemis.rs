//! A real ActiveMQ Artemis: AMQP 1.0 and MQTT, each plain and with TLS. It owns the choice of ports; what the broker does
//! with its addresses stands in `tests/rig/artemis/broker.xml`, and the process is [`Private`]'s.
//!
//! What it has confirmed survives a `kill -9`, over MQTT too. An AMQP address is a queue unless the client asks for a
//! topic by a capability. Addresses by their first word: `block.` and `fail.` are full at 100 kB; then no new link gets
//! credit, and what comes on an old one waits (`block.`) or is rejected (`fail.`). `thrice.` gives up after three
//! deliveries. To `locked.` only [`USER`] and the certificate may send. What was rejected is at [`Artemis::dead`].
//!
//! NOTE: MQTT's topic `a/b` is the address `a.b`. A queue of that name would be the same address: take another.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::client::Client;
use crate::private::{Private, Recipe};
use crate::shared::{Shared, shared};
use crate::{Dir, cache, free_port, tls};

/// A start takes two seconds on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(180);

/// The user that may do everything; clients without a name may do nearly everything.
pub const USER: &str = "weft";

/// The password of [`USER`].
pub const PASSWORD: &str = "rig: a secret";

/// Where an Artemis serves.
#[derive(Debug, Clone)]
pub struct Artemis {
    amqp: u16,
    amqps: u16,
    mqtt: u16,
    mqtts: u16,
}

impl Artemis {
    /// The broker that all tests share: the one of the runner, else one that lives as long as this test binary. Keep to
    /// addresses and client ids of your own; to hurt it take [`Artemis::private`].
    #[must_use]
    pub fn shared() -> &'static Self {
        static SLOT: OnceLock<(Artemis, Option<Private<Artemis>>)> = OnceLock::new();
        shared(&SLOT)
    }

    /// A broker of one's own, started.
    #[must_use]
    pub fn private() -> Private<Self> {
        <Self as Shared>::private()
    }

    /// A broker of one's own whose ports are known while nobody listens yet.
    #[must_use]
    pub fn reserve() -> Private<Self> {
        <Self as Shared>::reserve()
    }

    /// AMQP on plain TCP: SASL ANONYMOUS, PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
    #[must_use]
    pub fn amqp_port(&self) -> u16 {
        self.amqp
    }

    /// AMQP on TLS with the server's certificate of [`tls`]: SASL ANONYMOUS, PLAIN, and EXTERNAL with the client's.
    #[must_use]
    pub fn amqps_port(&self) -> u16 {
        self.amqps
    }

    /// MQTT on plain TCP, anonymous or with [`USER`] and [`PASSWORD`]; a wrong password is refused.
    #[must_use]
    pub fn mqtt_port(&self) -> u16 {
        self.mqtt
    }

    /// MQTT on TLS with the server's certificate of [`tls`].
    #[must_use]
    pub fn mqtts_port(&self) -> u16 {
        self.mqtts
    }

    /// `amqp://127.0.0.1:PORT` of plain TCP.
    #[must_use]
    pub fn amqp_url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.amqp)
    }

    /// `mqtt://127.0.0.1:PORT` of plain TCP.
    #[must_use]
    pub fn mqtt_url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.mqtt)
    }

    /// The address of the queue that holds what was rejected from a queue.
    #[must_use]
    pub fn dead(address: &str) -> String {
        format!("DLA::DLQ.{address}")
    }

    /// How many messages a queue holds, those included that a receiver has and did not settle.
    #[track_caller]
    #[must_use]
    pub fn depth(&self, queue: &str) -> u64 {
        let call = Client::script("artemis_depth.py").option("--port", self.amqp);
        let lines = call.option("--queue", queue).run();
        let depth = lines.first().and_then(|line| line["depth"].as_u64());
        depth.unwrap_or_else(|| panic!("no depth of {queue}: {lines:?}"))
    }
}

impl Shared for Artemis {
    const VARIABLE: &'static str = "WEFT_TEST_ARTEMIS";

    fn reserve() -> Private<Self> {
        let broker = Self {
            amqp: free_port(),
            amqps: free_port(),
            mqtt: free_port(),
            mqtts: free_port(),
        };
        let dir = Dir::new("artemis");
        let recipe = Recipe {
            name: "Artemis",
            command: java(&broker, dir.path()),
            log: |process| &process.out,
            ready: "AMQ221001",
            start_limit: START_LIMIT,
            dir,
        };
        Private::reserved(broker, recipe)
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.amqp, self.amqps, self.mqtt, self.mqtts]
    }

    fn at(ports: &[u16]) -> Option<Self> {
        let &[amqp, amqps, mqtt, mqtts] = ports else {
            return None;
        };
        Some(Self {
            amqp,
            amqps,
            mqtt,
            mqtts,
        })
    }
}

fn java(broker: &Artemis, dir: &Path) -> Command {
    let etc = cache::source("artemis");
    let (keys, trusted) = tls::java_stores();
    let mut command = Command::new("java");
    command.args([
        "-Xms64m",
        "-Xmx400m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-XX:-UsePerfData",
    ]);
    for (name, path) in [
        ("log4j2.configurationFile", etc.join("log4j2.properties")),
        ("java.security.auth.login.config", etc.join("login.config")),
        ("artemis.home", dir.to_owned()),
        ("artemis.instance", dir.to_owned()),
        ("artemis.instance.etc", etc.clone()),
        ("weft.data", dir.join("data")),
        ("weft.keystore", keys),
        ("weft.truststore", trusted),
    ] {
        command.arg(format!("-D{name}={}", path.display()));
    }
    command.arg(format!("-Dweft.broker=file:{}", etc.join("broker.xml").display()));
    for (name, port) in [
        ("amqp", broker.amqp),
        ("amqps", broker.amqps),
        ("mqtt", broker.mqtt),
        ("mqtts", broker.mqtts),
    ] {
        command.arg(format!("-Dweft.{name}={port}"));
    }
    command
        .arg("-cp")
        .arg(cache::artemis_jars().join("*"))
        .args(["org.apache.activemq.artemis.cli.Artemis", "run"])
        .arg(format!("xml:{}", etc.join("bootstrap.xml").display()))
        .current_dir(dir);
    command
}
