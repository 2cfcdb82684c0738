//! The commands that talk to a broker themselves, against a real one.
#![cfg(feature = "kafka")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use weft_rig::Kafka;

/// A file with one Kafka ingress, removed at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, brokers: &str, topics: &str) -> File {
        let path = std::env::temp_dir().join(format!("weft-cli-kafka-{name}-{}.yaml", std::process::id()));
        let text = format!(
            "ingress: {{ orders: {{ kafka: {{ brokers: [\"{brokers}\"], topics: [{topics}], group: g }} }} }}\n\
             destinations: {{ out: {{ kafka: {{ brokers: [\"{brokers}\"], topic: out }} }} }}\n\
             routes: {{ all: {{ to: out }} }}\n"
        );
        fs::write(&path, text).unwrap();
        File(path)
    }

    fn weft(&self, command: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_weft"))
            .arg(command)
            .arg(&self.0)
            .args(args)
            .output()
            .unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn send_puts_the_event_where_the_ingress_takes_from_once_the_broker_has_confirmed_it() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("send", 1);
    let file = File::new("send", kafka.brokers(), &topic);
    let event = [
        "--ingress",
        "orders",
        "--type",
        "com.acme.order",
        "--id",
        "7",
        "--data",
        "{\"a\":1}",
    ];
    let sent = file.weft("send", &event);
    assert!(sent.status.success(), "{sent:?}");
    assert!(sent.stdout.starts_with(b"confirmed by "), "{sent:?}");
    let records = kafka.drain(&topic);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].value.as_deref(), Some(&b"{\"a\":1}"[..]));
    let header = |name: &str| {
        records[0]
            .headers
            .iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, v)| v.clone())
    };
    assert_eq!(header("ce_type").as_deref(), Some(&b"com.acme.order"[..]));
    assert_eq!(header("ce_id").as_deref(), Some(&b"7"[..]));
}

#[test]
fn a_topic_that_is_not_there_and_a_broker_that_is_not_there_are_69() {
    let kafka = Kafka::shared();
    // Named, and never made.
    let missing = format!("missing-{}", std::process::id());
    let sent =
        File::new("missing", kafka.brokers(), &missing).weft("send", &["--ingress", "orders", "--type", "t"]);
    assert_eq!(sent.status.code(), Some(69), "{sent:?}");
    assert!(
        String::from_utf8_lossy(&sent.stderr).contains(&missing),
        "{sent:?}"
    );

    // Bound and let go again: nobody listens there.
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let checked = File::new("nobody", &nobody, "orders").weft("check", &["--connect"]);
    assert_eq!(checked.status.code(), Some(69), "{checked:?}");
    let answers = String::from_utf8_lossy(&checked.stdout);
    assert!(
        answers
            .lines()
            .any(|line| line.starts_with("ingress orders  ") && !line.ends_with("  ok")),
        "{answers}"
    );
}
