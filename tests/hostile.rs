//! Hostile bytes: each gets a clean answer or a closed connection, costs bounded memory, and disturbs nobody else (C33,
//! C34).
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use support::{Books, LIMIT, post, record, wait_committed, weft};
use weft_rig::{Kafka, Receiver, Record, Weft, eventually, free_port, http};

const HEAD: &str = "POST / HTTP/1.1\r\nhost: x\r\n";
const EVENT: &str = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /t\r\nce-type: t\r\n";

struct Case {
    weft: Weft,
    receiver: Receiver,
    port: u16,
}

fn start() -> Case {
    let (receiver, port) = (Receiver::start(), free_port());
    let url = receiver.url("/");
    let weft = weft(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}", header_timeout: 2s, body_timeout: 2s }} }}
destinations:
  out: {{ http: {{ url: "{url}" }} }}
routes:
  all: {{ to: out }}
"#
    ));
    Case {
        weft: weft.start(),
        receiver,
        port,
    }
}

impl Case {
    /// Sends raw bytes, and returns all that comes back until the connection ends or an answer is whole.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        // The other side may have had enough before all is written.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(&chunk[..count]),
            }
            let text = String::from_utf8_lossy(&answer);
            let length = text
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if let (Some(end), Some(length)) = (text.find("\r\n\r\n"), length) {
                let length: usize = length;
                if answer.len() >= end + 4 + length {
                    break;
                }
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[track_caller]
    fn status(&self, bytes: &[u8]) -> u16 {
        let answer = self.raw(bytes);
        answer
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no answer: {answer:?}"))
    }

    /// A neighbour is served as if nothing had happened.
    #[track_caller]
    fn assert_serves(&self, id: &str) {
        let before = self.receiver.count();
        assert_eq!(post(self.port, "/", id), 204, "{}", self.weft.log().tail());
        let seen = self.receiver.wait_for(before + 1, LIMIT);
        assert_eq!(seen[before].header("ce-id"), Some(id));
    }
}

#[test]
fn bytes_that_are_no_event_get_a_clean_answer() {
    let case = start();
    let with = |headers: &[u8], body: &[u8]| {
        let length = format!("content-length: {}\r\n\r\n", body.len());
        [HEAD.as_bytes(), headers, length.as_bytes(), body].concat()
    };
    let structured = b"content-type: application/cloudevents+json\r\n";
    let batch = b"content-type: application/cloudevents-batch+json\r\n";
    let deep = "[".repeat(100_000);
    let deep_event =
        format!("{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/t\",\"type\":\"t\",\"data\":{deep}");
    let closed = format!("{deep_event}{}}}", "]".repeat(100_000));
    let junk: Vec<u8> = (0..50_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("no HTTP at all", junk.clone(), &[400]),
        (
            "a header's value that is not UTF-8",
            with(&[EVENT.as_bytes(), b"ce-x: \xff\xfe\r\n"].concat(), b"x"),
            &[400],
        ),
        (
            "percent escapes of no UTF-8",
            with(&[EVENT.as_bytes(), b"ce-x: %ff%fe\r\n"].concat(), b"x"),
            &[400],
        ),
        (
            "an attribute's name that is none",
            with(&[EVENT.as_bytes(), b"ce-a_b: 1\r\n"].concat(), b"x"),
            &[400],
        ),
        (
            "an id that comes twice",
            with(&[EVENT.as_bytes(), b"ce-id: 2\r\n"].concat(), b"x"),
            &[400],
        ),
        (
            "a control character",
            with(&[EVENT.as_bytes(), b"ce-x: %0d%0ainjected: 1\r\n"].concat(), b"x"),
            &[400],
        ),
        (
            "a giant header",
            with(
                format!("{EVENT}ce-x: {}\r\n", "x".repeat(1 << 20)).as_bytes(),
                b"x",
            ),
            &[431],
        ),
        (
            "many headers",
            with(
                (0..5000)
                    .fold(EVENT.to_owned(), |mut all, n| {
                        let _ = write!(all, "ce-x{n}: 1\r\n");
                        all
                    })
                    .as_bytes(),
                b"x",
            ),
            &[400, 431],
        ),
        (
            "deep JSON that never ends",
            with(structured, deep_event.as_bytes()),
            &[400],
        ),
        (
            "an event that is deep JSON",
            with(structured, deep.as_bytes()),
            &[400],
        ),
        ("a batch of deep JSON", with(batch, deep.as_bytes()), &[400]),
        ("a batch of junk", with(batch, &junk), &[400]),
        (
            "a batch of what is no event",
            with(batch, b"[1, \"x\", {}, null]"),
            &[400],
        ),
        ("a batch that is no list", with(batch, b"{}"), &[400]),
        (
            "a batch of many",
            with(batch, format!("[{}0]", "0,".repeat(100_000)).as_bytes()),
            &[400, 413],
        ),
        ("JSON in UTF-16", with(structured, b"\xff\xfe{\0}\0"), &[400]),
        (
            "a bomb",
            with(
                &[EVENT.as_bytes(), b"content-encoding: gzip\r\n"].concat(),
                b"\x1f\x8b\x08\0junk",
            ),
            &[400],
        ),
        (
            "a body of 10 MB",
            with(EVENT.as_bytes(), &vec![b'x'; 10 << 20]),
            &[413],
        ),
        (
            "a length that overflows",
            [HEAD, EVENT, "content-length: 99999999999999999999999\r\n\r\n"]
                .concat()
                .into(),
            &[400],
        ),
        (
            "a length that lies",
            [HEAD, EVENT, "content-length: 9999999999\r\n\r\n"]
                .concat()
                .into(),
            &[413],
        ),
        (
            "two lengths",
            [HEAD, EVENT, "content-length: 1\r\ncontent-length: 2\r\n\r\nxx"]
                .concat()
                .into(),
            &[400],
        ),
        (
            "bad chunks",
            [
                HEAD,
                EVENT,
                "transfer-encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
            ]
            .concat()
            .into(),
            &[400],
        ),
        (
            "a giant chunk",
            [
                HEAD,
                EVENT,
                "transfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            ]
            .concat()
            .into(),
            &[400, 408, 413],
        ),
        (
            "another method",
            b"BREW / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            &[405],
        ),
        (
            "another path",
            b"POST /../etc/passwd HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".to_vec(),
            &[400, 404],
        ),
    ];
    // Deep data is data: it is carried, and nobody descends.
    let answer = case.status(&with(structured, closed.as_bytes()));
    assert!([204, 400].contains(&answer), "deep data: {answer}");
    let before = case.weft.peak_mib();
    let delivered = case.receiver.count();
    for (what, bytes, expected) in &cases {
        let status = case.status(bytes);
        assert!(expected.contains(&status), "{what}: {status}, not {expected:?}");
    }
    assert_eq!(case.receiver.count(), delivered, "nothing of it was delivered");
    case.assert_serves("after-all");
    let grown = case.weft.peak_mib() - before;
    eprintln!("memory grew by {grown} MiB");
    assert!(grown < 48, "{grown} MiB");
    Books::of(&case.weft.metrics()).assert_balanced();
    let lines = case.weft.log().all().len();
    assert!(
        lines < 20,
        "a stranger must not fill the log: {lines} lines\n{}",
        case.weft.log().tail()
    );
}

#[test]
fn slow_clients_are_shown_the_door_and_hold_nobody_up() {
    const SLOW: usize = 200;
    let case = start();
    let before = case.weft.peak_mib();
    let mut clients: Vec<TcpStream> = (0..SLOW)
        .map(|n| {
            let mut client = TcpStream::connect(("127.0.0.1", case.port)).unwrap();
            // Silent, in the middle of a head, or in the middle of a body.
            let said = match n % 3 {
                0 => String::new(),
                1 => HEAD.to_owned(),
                _ => format!("{HEAD}{EVENT}content-length: 100\r\n\r\nx"),
            };
            client.write_all(said.as_bytes()).unwrap();
            client
        })
        .collect();
    for id in 0..20 {
        case.assert_serves(&id.to_string());
    }
    // One byte now and then changes nothing: a head has one deadline for all of it.
    let mut ended = [false; SLOW];
    eventually("the end of slow connections", LIMIT, || {
        for (client, ended) in clients.iter_mut().zip(&mut ended) {
            if !*ended {
                client.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                *ended = match client.read(&mut [0; 1024]) {
                    Ok(_) => true,
                    Err(e) => !matches!(
                        e.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ),
                } || client.write_all(b"x").is_err();
            }
        }
        ended.iter().all(|ended| *ended).then_some(())
    });
    case.assert_serves("after-all");
    let grown = case.weft.peak_mib() - before;
    assert!(grown < 32, "{grown} MiB");
}

#[test]
fn hostile_records_disturb_no_partition() {
    let kafka = Kafka::shared();
    let (topic, dead) = (kafka.topic("hostile", 1), kafka.topic("hostile-dead", 1));
    let receiver = Receiver::start();
    let (brokers, url) = (kafka.brokers(), receiver.url("/"));
    let weft = weft(&format!(
        r#"
connections: {{ main: {{ kafka: {{ brokers: ["{brokers}"] }} }} }}
ingress:
  in: {{ kafka: {{ connection: main, topics: [{topic}], group: {topic}, commit_every: 50ms }}, dead_letter: dead }}
destinations:
  out: {{ http: {{ url: "{url}" }} }}
  dead: {{ kafka: {{ connection: main, topic: {dead} }} }}
routes: {{ all: {{ to: out, dead_letter: dead }} }}
"#
    ))
    .start();
    let before = weft.peak_mib();
    let structured = |body: Vec<u8>| {
        Record::to(&topic)
            .header("content-type", "application/cloudevents+json")
            .value(body)
    };
    let mut many = record(&topic, "many");
    many.headers
        .extend((0..5000).map(|n| (format!("ce_x{n}"), Some(b"1".to_vec()))));
    let bad = [
        structured(vec![b'['; 200_000]),
        structured(vec![0xff; 100_000]),
        structured(Vec::new()),
        Record::to(&topic).header("content-type", "application/cloudevents+json"),
        Record::to(&topic)
            .header("content-type", "application/cloudevents-batch+json")
            .value("[]"),
        record(&topic, "").key("k"),
        record(&topic, "x").header("ce_", "1"),
        record(&topic, "x")
            .header("ce_subject", vec![b'x'; 500_000])
            .header("ce_time", "x"),
        record(&topic, "x").header("ce_subject", "a\r\ninjected: 1"),
        record(&topic, "x").header("ce_source", "not a uri"),
        record(&topic, "x").header("ce_id", "again"),
    ];
    let good = record(&topic, "good");
    let all: Vec<Record> = bad
        .iter()
        .flat_map(|bad| [bad.clone(), good.clone()])
        .chain([many, good.clone()])
        .collect();
    let all: Vec<Record> = all.into_iter().map(|record| record.partition(0)).collect();
    kafka.produce(&all);
    wait_committed(kafka, &topic, &topic, all.len() as i64);
    let good = receiver
        .requests()
        .iter()
        .filter(|request| request.header("ce-id") == Some("good"))
        .count();
    assert_eq!(good, bad.len() + 1, "every neighbour is delivered");
    let letters = kafka.drain(&dead);
    // A record without value that calls itself structured, and one with very many attributes, may be either.
    assert!(
        (bad.len()..=bad.len() + 1).contains(&letters.len()),
        "{} letters",
        letters.len()
    );
    for request in receiver.requests() {
        assert!(request.header("injected").is_none(), "{request:?}");
    }
    let grown = weft.peak_mib() - before;
    assert!(grown < 64, "{grown} MiB");
    Books::of(&weft.metrics()).assert_balanced();
    assert_eq!(http::get(weft.observe_port(), "/healthz").unwrap().status, 200);
}
