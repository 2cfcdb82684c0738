//! One real Kafka broker: KRaft, one node, its own data directory. It owns the process and the directory, and keeps the
//! address over a kill and a restart. It must not know topics or records; that is [`Kafka`]'s part.

use std::fmt::Write as _;
use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use crate::child::Process;
use crate::dir::Dir;
use crate::kafka::Kafka;
use crate::{Hop, Relay, cache, free_port, tls};

/// A start takes three seconds on an idle machine; forty have been seen on a busy one.
const START_LIMIT: Duration = Duration::from_secs(180);
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// Who may come in by [`Broker::secure`], and with what password.
pub const SCRAM: (&str, &str) = ("weft", "weft-secret");

/// Any valid id will do for a cluster of one.
const CLUSTER_ID: &str = "d2VmdC1yaWctY2x1c3Rlcg";

/// A broker of one's own, for tests that hurt it. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    kafka: Kafka,
    port: u16,
    safe: u16,
    dir: Dir,
    process: Option<Process>,
}

/// The ports of one broker.
struct Ports {
    plain: u16,
    controller: u16,
    /// TLS and SCRAM-SHA-512.
    safe: u16,
    /// The port behind a relay or a hop, and the address that leads there.
    far: Option<(u16, String)>,
}

impl Broker {
    /// Chooses an address and prepares the storage; nobody listens yet. For tests that start Weft first.
    #[must_use]
    pub fn reserve() -> Self {
        Self::prepare(None, &[])
    }

    /// The same with further settings.
    #[must_use]
    pub fn reserve_with(settings: &[(&str, &str)]) -> Self {
        Self::prepare(None, settings)
    }

    /// The same with a second address that leads through a relay, for the client whose network is to fail. The broker
    /// names that address to whoever came by it, so that all of that client's connections go there; the clients of
    /// the test itself keep to the direct one.
    #[must_use]
    pub fn reserve_with_relay() -> (Self, Relay) {
        let far = free_port();
        let relay = Relay::to(far);
        (Self::prepare(Some((far, relay.address())), &[]), relay)
    }

    /// The same with a second address that leads through a hop, and that is returned too.
    #[must_use]
    pub fn reserve_behind(hop: &Hop) -> (Self, String) {
        let far = free_port();
        let address = format!("{}:{far}", hop.host());
        (Self::prepare(Some((far, address.clone())), &[]), address)
    }

    fn prepare(far: Option<(u16, String)>, more: &[(&str, &str)]) -> Self {
        let ports = Ports {
            plain: free_port(),
            controller: free_port(),
            safe: free_port(),
            far,
        };
        let dir = Dir::new("kafka");
        dir.write("server.properties", &properties(&ports, &dir, more));
        let broker = Self {
            kafka: Kafka::at(&format!("127.0.0.1:{}", ports.plain)),
            port: ports.plain,
            safe: ports.safe,
            dir,
            process: None,
        };
        let mut format = broker.java("kafka.tools.StorageTool");
        let (user, password) = SCRAM;
        format
            .args(["format", "-t", CLUSTER_ID, "-c"])
            .arg(broker.dir.path().join("server.properties"))
            .args([
                "--add-scram",
                &format!("SCRAM-SHA-512=[name={user},password={password}]"),
            ]);
        let mut format = Process::start("Kafka's storage tool", &format);
        let status = format.wait(START_LIMIT);
        assert!(
            status.success(),
            "formatting Kafka's storage:\n{}\n{}",
            format.out.tail(),
            format.err.tail()
        );
        broker
    }

    /// Starts it, for the first time or again on the same address and data, and waits until it serves.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the broker runs already");
        let mut command = self.java("kafka.Kafka");
        command.arg(self.dir.path().join("server.properties"));
        let process = self.process.insert(Process::start("Kafka", &command));
        process.out.wait_for("Kafka Server started", START_LIMIT, |line| {
            line.contains("Kafka Server started")
        });
    }

    /// The port on loopback where it serves, now or later.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that takes only TLS, with a certificate of [`tls::ca`], and [`SCRAM`] by SCRAM-SHA-512.
    #[must_use]
    pub fn secure(&self) -> String {
        format!("127.0.0.1:{}", self.safe)
    }

    /// Lets the user of [`SCRAM`] do `operation` (`Read`) with a `resource` (`topic`, `group`) of a name. For a guarded
    /// broker.
    pub fn allow(&self, operation: &str, resource: &str, name: &str) {
        let mut command = self.java("org.apache.kafka.tools.AclCommand");
        command
            .args(["--bootstrap-server", self.kafka.brokers(), "--add"])
            .args(["--allow-principal", &format!("User:{}", SCRAM.0)])
            .args(["--operation", operation, &format!("--{resource}"), name]);
        let mut tool = Process::start("Kafka's tool for access lists", &command);
        let status = tool.wait(START_LIMIT);
        assert!(
            status.success(),
            "allowing {operation} on {resource} {name}:\n{}\n{}",
            tool.out.tail(),
            tool.err.tail()
        );
    }

    /// The process, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// SIGKILL; what it had not written is lost, the rest is there after [`Broker::start`].
    pub fn kill9(&mut self) {
        self.process.take().expect("the broker runs").kill9();
    }

    /// SIGTERM, and waits until it has shut down in good order.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the broker runs");
        process.signal("TERM");
        process.wait(STOP_LIMIT);
    }

    /// SIGSTOP: connections stay open and nothing answers, as with a machine that hangs.
    pub fn freeze(&mut self) {
        self.process.as_mut().expect("the broker runs").signal("STOP");
    }

    /// SIGCONT after [`Broker::freeze`].
    pub fn thaw(&mut self) {
        self.process.as_mut().expect("the broker runs").signal("CONT");
    }

    fn java(&self, main: &str) -> Command {
        let mut command = Command::new("java");
        command
            .args([
                "-Xms64m",
                "-Xmx512m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-XX:-UsePerfData",
            ])
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                cache::source("kafka/log4j2.properties").display()
            ))
            .arg("-cp")
            .arg(cache::kafka_jars().join("*"))
            .arg(main)
            .current_dir(self.dir.path());
        command
    }
}

impl Deref for Broker {
    type Target = Kafka;

    fn deref(&self) -> &Kafka {
        &self.kafka
    }
}

fn properties(ports: &Ports, dir: &Dir, more: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let Ports {
        plain,
        controller,
        safe,
        far,
    } = ports;
    let (keystore, _) = tls::java_stores();
    let (behind, before) = far.as_ref().map_or_else(Default::default, |(behind, before)| {
        (format!(",FAR://127.0.0.1:{behind}"), format!(",FAR://{before}"))
    });
    let logs = dir.path().join("data");
    for (name, value) in [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.quorum.voters", &format!("1@127.0.0.1:{controller}")),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SAFE:SASL_SSL,FAR:PLAINTEXT",
        ),
        (
            "listeners",
            &format!(
                "PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},SAFE://127.0.0.1:{safe}{behind}"
            ),
        ),
        (
            "advertised.listeners",
            &format!("PLAINTEXT://127.0.0.1:{plain},SAFE://127.0.0.1:{safe}{before}"),
        ),
        ("ssl.keystore.type", "PKCS12"),
        ("ssl.keystore.location", &keystore.display().to_string()),
        ("ssl.keystore.password", "weftrig"),
        ("ssl.key.password", "weftrig"),
        ("listener.name.safe.sasl.enabled.mechanisms", "SCRAM-SHA-512"),
        (
            "listener.name.safe.scram-sha-512.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ),
        ("log.dirs", &logs.display().to_string()),
        // A typing error in a test must fail, not make a topic.
        ("auto.create.topics.enable", "false"),
        ("num.partitions", "1"),
        ("offsets.topic.num.partitions", "1"),
        ("offsets.topic.replication.factor", "1"),
        ("transaction.state.log.num.partitions", "1"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("share.coordinator.state.topic.num.partitions", "1"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        // A broker that was killed is let in again only when its former session is over.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // No wait for further members when a group begins, and short sessions for members that were killed.
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        // A test's topics are many and small.
        ("log.index.size.max.bytes", "65536"),
        ("log.cleaner.dedupe.buffer.size", "4194304"),
        ("num.network.threads", "2"),
        ("num.io.threads", "2"),
    ] {
        writeln!(text, "{name}={value}").expect("writing to a string");
    }
    for (name, value) in more {
        writeln!(text, "{name}={value}").expect("writing to a string");
    }
    text
}
