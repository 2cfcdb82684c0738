//! A real Mosquitto: MQTT 3.1.1 and 5.0, on four listeners. It owns the configuration; the process is [`Private`]'s.
//!
//! NOTE: Mosquitto keeps its sessions in memory, and writes them to disk when it ends in good order, once a second as
//! configured here, and when it is asked ([`Private::save`]). So a `kill -9` loses what it confirmed in the last second,
//! and a receiver may be sent again what it acknowledged. That it writes after each change is turned down: it is slower
//! by a hundred times with a few thousand messages waiting, and confirmed ones are lost all the same, since the PUBACK
//! goes out first. A test that counts confirmed messages over a `kill -9` takes a broker with a journal
//! ([`crate::Artemis`] speaks MQTT too), or [`Private::stop`] here.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::private::{Private, Recipe};
use crate::shared::{Shared, shared};
use crate::{Dir, cache, eventually, free_port, tls};

/// A start takes a tenth of a second on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(60);

const SAVE_LIMIT: Duration = Duration::from_secs(60);

/// The user that the listener with passwords knows.
pub const USER: &str = "weft";

/// The password of [`USER`].
pub const PASSWORD: &str = "rig: a secret";

/// Where a Mosquitto serves.
#[derive(Debug, Clone)]
pub struct Mosquitto {
    plain: u16,
    password: u16,
    tls: u16,
    mutual: u16,
}

impl Mosquitto {
    /// The broker that all tests share: the one of the runner, else one that lives as long as this test binary. Keep to
    /// topics and client ids of your own; to hurt it take [`Mosquitto::private`].
    #[must_use]
    pub fn shared() -> &'static Self {
        static SLOT: OnceLock<(Mosquitto, Option<Private<Mosquitto>>)> = OnceLock::new();
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

    /// The same with more lines in its configuration, such as `max_packet_size 1000`, which count for all listeners.
    #[must_use]
    pub fn reserve_with(settings: &str) -> Private<Self> {
        let broker = Self {
            plain: free_port(),
            password: free_port(),
            tls: free_port(),
            mutual: free_port(),
        };
        let dir = Dir::new("mosquitto");
        make_passwords(&dir);
        let config = dir.write("mosquitto.conf", &configuration(&broker, &dir, settings));
        let mut command = unpacked("usr/sbin/mosquitto");
        command.arg("-c").arg(config);
        let recipe = Recipe {
            name: "Mosquitto",
            command,
            log: |process| &process.err,
            ready: " running",
            start_limit: START_LIMIT,
            dir,
        };
        Private::reserved(broker, recipe)
    }

    /// Plain TCP, anonymous.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.plain
    }

    /// `127.0.0.1:PORT` of plain TCP.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.plain)
    }

    /// `mqtt://127.0.0.1:PORT` of plain TCP.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address())
    }

    /// Plain TCP for [`USER`] with [`PASSWORD`] only.
    #[must_use]
    pub fn password_port(&self) -> u16 {
        self.password
    }

    /// TLS with the server's certificate of [`tls`], anonymous.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.tls
    }

    /// TLS that wants the client's certificate of [`tls`]; its name is the user.
    #[must_use]
    pub fn mutual_port(&self) -> u16 {
        self.mutual
    }
}

impl Private<Mosquitto> {
    /// Lets it write its sessions, and waits until they are on the disk: a [`Private::kill9`] loses only what came later.
    #[track_caller]
    pub fn save(&mut self) {
        let file = self.dir().path().join("mosquitto.db");
        let written = || fs::metadata(&file).and_then(|about| about.modified()).ok();
        // By its own clock it may be writing already, too early for what was just confirmed: so the second time counts.
        for _ in 0..2 {
            let before = written();
            self.signal("USR1");
            eventually("Mosquitto's sessions on the disk", SAVE_LIMIT, || {
                (written() != before).then_some(())
            });
        }
    }
}

impl Shared for Mosquitto {
    const VARIABLE: &'static str = "WEFT_TEST_MOSQUITTO";

    fn reserve() -> Private<Self> {
        Self::reserve_with("")
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.plain, self.password, self.tls, self.mutual]
    }

    fn at(ports: &[u16]) -> Option<Self> {
        let &[plain, password, tls, mutual] = ports else {
            return None;
        };
        Some(Self {
            plain,
            password,
            tls,
            mutual,
        })
    }
}

/// A program out of the unpacked package, with its libraries.
fn unpacked(program: &str) -> Command {
    let root = cache::mosquitto();
    let mut command = Command::new(root.join(program));
    command.env("LD_LIBRARY_PATH", cache::libraries(&root));
    command
}

fn make_passwords(dir: &Dir) {
    let mut command = unpacked("usr/bin/mosquitto_passwd");
    command.args(["-c", "-b"]).arg(dir.path().join("passwords"));
    let output = command.args([USER, PASSWORD]).output();
    let output = output.unwrap_or_else(|e| panic!("starting mosquitto_passwd: {e}"));
    assert!(
        output.status.success(),
        "mosquitto_passwd: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn configuration(broker: &Mosquitto, dir: &Dir, settings: &str) -> String {
    let (certificate, key) = tls::server();
    let tls = format!(
        "cafile {}\ncertfile {}\nkeyfile {}\n",
        tls::ca().display(),
        certificate.display(),
        key.display()
    );
    // Where it is root it would become another user, who cannot write here.
    let mut text = String::from("user root\nlog_type error\nlog_type warning\nlog_type notice\n");
    // Its standard output would come in blocks.
    text.push_str("log_dest stderr\nlog_type information\n");
    let mut add = |line: String| writeln!(text, "{line}").expect("writing to a string");
    add(format!(
        "persistence true\npersistence_location {}/",
        dir.path().display()
    ));
    add("autosave_on_changes false\nautosave_interval 1".to_owned());
    // Nothing is dropped: no bound on what waits for a client that is away, a wide one on what is unacknowledged.
    add("max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 1000".to_owned());
    // Small packets at once, not when the kernel thinks that there are enough.
    add("set_tcp_nodelay true".to_owned());
    add(settings.to_owned());
    add("per_listener_settings true".to_owned());
    add(format!(
        "listener {} 127.0.0.1\nallow_anonymous true",
        broker.plain
    ));
    add(format!(
        "listener {} 127.0.0.1\nallow_anonymous false\npassword_file {}",
        broker.password,
        dir.path().join("passwords").display()
    ));
    add(format!(
        "listener {} 127.0.0.1\nallow_anonymous true\n{tls}",
        broker.tls
    ));
    add(format!(
        "listener {} 127.0.0.1\nallow_anonymous false\n{tls}require_certificate true\nuse_identity_as_username true",
        broker.mutual
    ));
    text
}
