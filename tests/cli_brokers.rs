//! The commands that talk to AMQP and MQTT brokers themselves, and what the documentation shows of them: `send`, `explain`,
//! `check --connect`, and every file in the pages of the two connectors.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;
use weft_rig::{Artemis, Mosquitto, Python, unique};

const LIMIT: Duration = Duration::from_secs(60);

/// A file, removed at the end.
struct File(PathBuf);

impl File {
    fn new(text: &str) -> File {
        let path = std::env::temp_dir().join(format!("weft-{}.yaml", unique("cli")));
        fs::write(&path, text).unwrap();
        File(path)
    }

    /// One ingress `in` and one destination `out` of a kind, with these sections.
    fn of(ingress: &str, destination: &str) -> File {
        File::new(&format!(
            "ingress: {{ in: {{ {ingress} }} }}\ndestinations: {{ out: {{ {destination} }} }}\nroutes: {{ all: {{ to: out }} }}\n"
        ))
    }

    fn amqp(url: &str, address: &str) -> File {
        let section = format!("amqp: {{ url: \"{url}\", address: {address}, kind: queue }}");
        File::of(&section, &section)
    }

    fn mqtt(url: &str, topic: &str, more: &str) -> File {
        let ingress = format!("mqtt: {{ url: \"{url}\", subscribe: [\"{topic}\"]{more} }}");
        File::of(&ingress, &format!("mqtt: {{ url: \"{url}\", topic: out{more} }}"))
    }

    fn weft(&self, command: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_weft"))
            .arg(command)
            .arg(&self.0)
            .args(args)
            .env("WEFT_LOG", "off")
            .output()
            .unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// An address where nobody listens: bound, and let go again.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// What `weft send` is given.
const EVENT: [&str; 8] = [
    "--ingress",
    "in",
    "--type",
    "com.acme.order",
    "--id",
    "7",
    "--data",
    "{\"a\":1}",
];

#[track_caller]
fn assert_event(line: &Value) {
    assert_eq!(line["attributes"]["id"], "7", "{line}");
    assert_eq!(line["attributes"]["type"], "com.acme.order", "{line}");
    assert_eq!(line["json"]["a"], 1, "{line}");
}

#[test]
fn send_puts_an_event_into_the_queue_that_an_ingress_reads() {
    let (artemis, address) = (Artemis::shared(), unique("send"));
    let sent = File::amqp(&artemis.amqp_url(), &address).weft("send", &EVENT);
    assert!(sent.status.success(), "{}", err(&sent));
    assert!(out(&sent).starts_with("confirmed by "), "{}", out(&sent));
    let lines = Python::script("amqp_recv.py")
        .option("--port", artemis.amqp_port())
        .option("--address", &address)
        .option("--capability", "queue")
        .run();
    assert_event(&lines[1]);
}

#[test]
fn send_publishes_an_event_where_an_ingress_subscribes() {
    let mosquitto = Mosquitto::shared();
    for (version, more) in [("5", ""), ("3.1.1", ", version: 3.1.1")] {
        let topic = unique("send");
        let mut subscriber = Python::script("mqtt_sub.py")
            .option("--port", mosquitto.port())
            .option("--topic", &topic)
            .option("--version", version)
            .spawn();
        assert!(subscriber.next_line(LIMIT).get("subscribed").is_some());
        let sent = File::mqtt(&mosquitto.url(), &topic, more).weft("send", &EVENT);
        assert!(sent.status.success(), "{version}: {}", err(&sent));
        assert!(out(&sent).starts_with("confirmed by "), "{}", out(&sent));
        assert_event(&subscriber.next_line(LIMIT));
    }
}

#[test]
fn send_asks_for_a_topic_where_an_ingress_subscribes_to_a_pattern() {
    let mosquitto = Mosquitto::shared();
    let name = unique("pattern");
    let file = File::mqtt(&mosquitto.url(), &format!("{name}/+/x"), "");
    let sent = file.weft("send", &EVENT);
    assert_eq!(sent.status.code(), Some(64), "{}{}", out(&sent), err(&sent));
    assert!(err(&sent).contains("--address"), "{}", err(&sent));
    let mut with = EVENT.to_vec();
    let address = format!("{name}/7/x");
    with.extend(["--address", &address]);
    let sent = file.weft("send", &with);
    assert!(sent.status.success(), "{}", err(&sent));
}

#[test]
fn check_connects_to_both_kinds_of_broker() {
    let (artemis, mosquitto) = (Artemis::shared(), Mosquitto::shared());
    for file in [
        File::amqp(&artemis.amqp_url(), &unique("check")),
        File::mqtt(&mosquitto.url(), &unique("check"), ""),
        File::mqtt(&mosquitto.url(), &unique("check"), ", version: 3.1.1"),
        File::mqtt(&artemis.mqtt_url(), &unique("check"), ""),
    ] {
        let checked = file.weft("check", &["--connect"]);
        let lines = out(&checked);
        assert!(checked.status.success(), "{lines}{}", err(&checked));
        for name in ["ingress in  ", "destination out  "] {
            let line = lines
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_else(|| panic!("{name}: {lines}"));
            assert!(line.ends_with("ok"), "{line}");
        }
    }
}

#[test]
fn a_broker_that_is_not_there_is_69_and_says_where_it_should_be() {
    let address = nobody();
    for file in [
        File::amqp(&format!("amqp://{address}"), "jobs"),
        File::mqtt(&format!("mqtt://{address}"), "jobs", ""),
        File::mqtt(&format!("mqtt://{address}"), "jobs", ", version: 3.1.1"),
    ] {
        let checked = file.weft("check", &["--connect"]);
        assert_eq!(
            checked.status.code(),
            Some(69),
            "{}{}",
            out(&checked),
            err(&checked)
        );
        let lines = out(&checked);
        for name in ["ingress in  ", "destination out  "] {
            let line = lines
                .lines()
                .find(|line| line.starts_with(name))
                .unwrap_or_else(|| panic!("{name}: {lines}"));
            assert!(line.contains(&address) && !line.ends_with("ok"), "{line}");
            assert!(line.contains("refused"), "the reason: {line}");
        }
        let sent = file.weft("send", &EVENT);
        assert_eq!(sent.status.code(), Some(69), "{}{}", out(&sent), err(&sent));
        assert!(err(&sent).contains(&address), "{}", err(&sent));
    }
}

/// What speaks another protocol is no broker.
#[test]
fn the_wrong_port_is_told_as_such() {
    let (artemis, mosquitto) = (Artemis::shared(), Mosquitto::shared());
    for file in [
        File::amqp(&format!("amqp://{}", mosquitto.address()), "jobs"),
        File::mqtt(&format!("mqtt://127.0.0.1:{}", artemis.amqp_port()), "jobs", ""),
        File::mqtt(&format!("mqtt://127.0.0.1:{}", mosquitto.tls_port()), "jobs", ""),
    ] {
        let checked = file.weft("check", &["--connect"]);
        assert_eq!(
            checked.status.code(),
            Some(69),
            "{}{}",
            out(&checked),
            err(&checked)
        );
        assert!(
            out(&checked).lines().all(|line| line.len() < 300),
            "{}",
            out(&checked)
        );
    }
}

#[test]
fn explain_shows_what_becomes_of_a_message_of_either_kind() {
    let amqp = File::of(
        "amqp: { url: \"amqp://127.0.0.1:1\", address: jobs }, event: { type: \"com.acme.{subject}\", id: \"{message_id}\", site: \"{properties.site}\" }",
        "log: {}",
    );
    let args = ["--ingress", "in", "--data", "{\"n\":1}"];
    let more = [
        "--header",
        "subject=order",
        "--header",
        "message-id=m-1",
        "--header",
        "site=paris",
    ];
    let said = out(&amqp.weft("explain", &[&args[..], &more].concat()));
    for expected in ["com.acme.order", "m-1", "paris", "all", "out"] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    let mqtt = File::of(
        "mqtt: { url: \"mqtt://127.0.0.1:1\", subscribe: [\"plant/+/t\"] }, event: { type: \"com.acme.t\", subject: \"{topic[1]}\", celsius: \"{data.t | round}\" }",
        "log: {}",
    );
    let args = [
        "--ingress",
        "in",
        "--data",
        "{\"t\":21.6}",
        "--address",
        "plant/7/t",
    ];
    let said = out(&mqtt.weft("explain", &args));
    for expected in ["com.acme.t", "22", "7", "all", "out"] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
    // And a whole event of the binding.
    let args = ["--ingress", "in", "--data", "x", "--address", "plant/7/t"];
    let headers = ["specversion=1.0", "id=e-1", "source=/s", "type=com.acme.event"];
    let headers: Vec<_> = headers.iter().flat_map(|header| ["--header", header]).collect();
    let said = out(&mqtt.weft("explain", &[&args[..], &headers].concat()));
    assert!(said.contains("com.acme.event") && said.contains("e-1"), "{said}");
}

/// Blocks of a page that are whole files or begin one.
fn examples(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
    let text = fs::read_to_string(&path).unwrap();
    let blocks = text.split("```yaml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap().to_owned());
    blocks
        .filter(|block| {
            block
                .lines()
                .any(|line| line.starts_with("ingress:") || line.starts_with("destinations:"))
        })
        .collect()
}

/// What a page leaves out since it is another page's.
fn whole(block: &str) -> String {
    let mut text = block.replace("${file:/run/secrets/", "${SECRET:-");
    let has = |text: &str, key: &str| text.lines().any(|line| line.starts_with(key));
    if !has(&text, "ingress:") {
        text += "ingress: { somewhere: { http: { listen: \"127.0.0.1:8080\" } } }\n";
    }
    if !has(&text, "destinations:") {
        text += "destinations: { somewhere: { log: {} } }\n";
    }
    if !has(&text, "routes:") {
        let name = if text.contains("somewhere: { log") {
            "somewhere"
        } else {
            ""
        };
        let first = text
            .lines()
            .skip_while(|line| !line.starts_with("destinations:"))
            .nth(1)
            .and_then(|line| line.trim().split(':').next())
            .unwrap_or(name)
            .to_owned();
        text += &format!(
            "routes: {{ all: {{ to: {} }} }}\n",
            if name.is_empty() { &first } else { name }
        );
    }
    text
}

#[test]
fn every_file_in_the_documentation_is_valid() {
    let mut checked = 0;
    for page in [
        "README.md",
        "docs/connectors/amqp.md",
        "docs/connectors/mqtt.md",
        "docs/connectors/kafka.md",
    ] {
        for block in examples(page) {
            let text = whole(&block);
            let output = File::new(&text).weft("check", &[]);
            // Certificates that a page names are not there; all else is right.
            let findings = err(&output);
            let wrong: Vec<_> = findings
                .lines()
                .filter(|line| line.contains(": error:") && !line.contains("/tls/"))
                .collect();
            assert_eq!(wrong, [""; 0], "{page}:\n{text}\n{findings}");
            checked += 1;
        }
    }
    assert!(checked >= 4, "{checked} files are few");
}
