//! A refusal is never counted as a delivery: the committed offset stays before whatever was neither delivered nor put
//! into a dead letter, unless the file says `drop` (C5, C9, C17, C18, C23).
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Books, LIMIT, record, records, wait_committed, wait_metric, weft};
use weft_rig::{Kafka, Receiver, Record, Reply, Request, Weft, WeftBuilder, eventually, free_port, http};

const EVENTS: usize = 10;
/// The event that the receiver does not like.
const BAD: &str = "5";

/// Kafka to HTTP, with a receiver that a test makes nasty.
struct Case {
    kafka: &'static Kafka,
    receiver: Receiver,
    topic: String,
    dead: String,
}

impl Case {
    fn new(label: &str) -> Case {
        let kafka = Kafka::shared();
        let (topic, dead) = (kafka.topic(label, 1), kafka.topic(&format!("{label}-dead"), 1));
        Case {
            kafka,
            receiver: Receiver::start(),
            topic,
            dead,
        }
    }

    /// `ingress` and `route` are further keys of each.
    fn file(&self, ingress: &str, route: &str) -> String {
        let (brokers, topic, dead, url) = (
            self.kafka.brokers(),
            &self.topic,
            &self.dead,
            self.receiver.url("/"),
        );
        format!(
            r#"
connections:
  main: {{ kafka: {{ brokers: ["{brokers}"] }} }}
ingress:
  in:
    kafka: {{ connection: main, topics: [{topic}], group: {topic}, commit_every: 50ms }}
    {ingress}
destinations:
  out:
    http: {{ url: "{url}" }}
    retry: {{ attempts: 3, initial: 20ms, max: 200ms }}
    breaker: {{ initial: 20ms, max: 200ms }}
  dead: {{ kafka: {{ connection: main, topic: {dead} }} }}
routes:
  all: {{ to: out, {route} }}
"#
        )
    }

    fn router(&self, ingress: &str, route: &str) -> WeftBuilder {
        weft(&self.file(ingress, route))
    }

    /// Answers one event with `status` and takes the rest.
    fn dislike(&self, status: u16) {
        self.receiver
            .respond(move |request| Reply::status(if id(request) == BAD { status } else { 204 }));
    }

    fn produce(&self) {
        self.kafka.produce(&records(&self.topic, EVENTS));
    }

    /// How often the bad one was tried.
    fn tries(&self) -> usize {
        self.receiver
            .requests()
            .iter()
            .filter(|request| id(request) == BAD)
            .count()
    }

    fn wait_tries(&self, more: usize) {
        let wanted = self.tries() + more;
        eventually("further tries", LIMIT, || (self.tries() >= wanted).then_some(()));
    }

    fn committed(&self) -> Option<i64> {
        self.kafka.committed(&self.topic, &self.topic).get(&0).copied()
    }

    #[track_caller]
    fn wait_committed(&self, offset: i64) {
        wait_committed(self.kafka, &self.topic, &self.topic, offset);
    }

    /// Which events were answered 204 at least once, given the status of the bad one at the time.
    fn delivered(&self) -> usize {
        let requests = self.receiver.requests();
        let ids: std::collections::BTreeSet<_> = requests.iter().map(id).collect();
        ids.len()
    }
}

fn id(request: &Request) -> String {
    request.header("ce-id").unwrap_or_default().to_owned()
}

/// The offset stays at the bad event while its neighbours are delivered and it is tried again; once the receiver is
/// mended the partition goes on by itself.
fn held_and_mended(label: &str, status: u16) {
    let case = Case::new(label);
    case.dislike(status);
    case.produce();
    let weft = case.router("on_rejected: pause", "enabled: true").start();
    case.wait_committed(5);
    case.wait_tries(5);
    assert_eq!(
        case.committed(),
        Some(5),
        "{status}: the offset moved past what nobody took"
    );
    if status == 400 {
        wait_metric(&weft, "weft_ingress_held_lanes", &[("ingress", "in")], 1.0);
        let said = weft
            .log()
            .all()
            .iter()
            .filter(|line| line.contains("its lane is held"))
            .count();
        assert_eq!(said, 1, "an alarm, once:\n{}", weft.log().tail());
    }
    case.receiver.answer(204);
    case.wait_committed(10);
    assert_eq!(case.delivered(), EVENTS);
    wait_metric(&weft, "weft_ingress_held_lanes", &[("ingress", "in")], 0.0);
    let books = Books::of(&weft.metrics());
    books.assert_balanced();
    assert_eq!((books.delivered, books.dropped), (EVENTS as f64, 0.0));
}

#[test]
fn unauthorised_holds_the_offset_until_it_is_mended() {
    held_and_mended("unauthorised", 401);
}

#[test]
fn a_refusal_without_a_dead_letter_holds_the_offset_until_it_is_mended() {
    held_and_mended("refused", 400);
}

#[test]
fn what_is_held_is_still_there_after_a_restart() {
    let case = Case::new("restarted");
    case.dislike(422);
    case.produce();
    let mut weft = case.router("", "enabled: true").start();
    case.wait_committed(5);
    case.wait_tries(2);
    weft.sigterm();
    case.receiver.answer(204);
    assert_eq!(weft.wait().code(), Some(0));
    case.receiver.forget();
    weft.restart();
    case.wait_committed(10);
}

#[test]
fn with_drop_the_offset_moves_and_the_refusal_is_counted() {
    let case = Case::new("dropped");
    case.dislike(400);
    case.produce();
    let weft = case.router("on_rejected: drop", "enabled: true").start();
    case.wait_committed(10);
    assert_eq!(case.tries(), 1, "an event that is refused for good is sent once");
    let metrics = weft.metrics();
    assert_eq!(
        metrics.sum("weft_obligations_settled_total", &[("result", "dropped")]),
        1.0
    );
    assert_eq!(
        metrics.sum("weft_destination_rejected_total", &[("destination", "out")]),
        1.0
    );
    Books::of(&metrics).assert_balanced();
}

#[track_caller]
fn attribute<'a>(record: &'a Record, name: &str) -> &'a str {
    record
        .text_header(&format!("ce_{name}"))
        .unwrap_or_else(|| panic!("no {name} in {record:?}"))
}

#[test]
fn a_refused_event_is_in_the_dead_letter_with_its_bytes_and_the_reason() {
    let case = Case::new("letter");
    case.receiver.respond(|request| match id(request).as_str() {
        BAD => Reply::status(422).body("no such order"),
        _ => Reply::status(204),
    });
    case.produce();
    let weft = case.router("", "dead_letter: dead").start();
    case.wait_committed(10);
    let letters = case.kafka.drain(&case.dead);
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    // As it was.
    let original = record(&case.topic, BAD);
    assert_eq!(letter.value, original.value);
    for (name, value) in &original.headers {
        assert_eq!(
            letter.text_header(name),
            value.as_deref().map(|v| std::str::from_utf8(v).unwrap()),
            "{name}"
        );
    }
    // And why it is here.
    assert_eq!(attribute(letter, "weftclass"), "refused");
    assert_eq!(attribute(letter, "weftdestination"), "out");
    assert_eq!(attribute(letter, "weftroute"), "all");
    assert_eq!(attribute(letter, "weftattempts"), "1");
    assert!(attribute(letter, "weftreason").contains("422"), "{letter:?}");
    assert!(attribute(letter, "weftfirst").starts_with("20"), "{letter:?}");
    assert!(
        attribute(letter, "weftlast") >= attribute(letter, "weftfirst"),
        "{letter:?}"
    );
    let books = Books::of(&weft.metrics());
    books.assert_balanced();
    assert_eq!((books.delivered, books.dead_lettered), (9.0, 1.0));
}

#[test]
fn poison_goes_to_the_dead_letter_after_its_attempts_while_others_flow() {
    let case = Case::new("poison");
    // All of one key: the worst case for what stands behind it.
    case.dislike(500);
    let all: Vec<_> = records(&case.topic, EVENTS)
        .into_iter()
        .map(|record| record.key("k"))
        .collect();
    case.kafka.produce(&all);
    let weft = case.router("", "dead_letter: dead").start();
    case.wait_committed(10);
    assert_eq!(case.tries(), 3, "attempts: 3");
    assert_eq!(case.delivered(), EVENTS);
    let letters = case.kafka.drain(&case.dead);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(attribute(&letters[0], "id"), BAD);
    assert_eq!(attribute(&letters[0], "weftclass"), "exhausted");
    assert_eq!(attribute(&letters[0], "weftattempts"), "3");
    assert_eq!(letters[0].key.as_deref(), Some(&b"k"[..]));
    Books::of(&weft.metrics()).assert_balanced();
}

#[test]
fn http_hears_whose_fault_it_was_and_never_of_a_delivery() {
    let (receiver, port) = (Receiver::start(), free_port());
    let url = receiver.url("/");
    let weft = weft(&format!(
        r#"
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{port}", deadline: 300ms }} }}
destinations:
  out:
    http: {{ url: "{url}" }}
    breaker: {{ initial: 20ms, max: 100ms }}
routes:
  all: {{ to: out }}
"#
    ))
    .start();
    let post = || http::post_event(port, "/", &support::event("1")).unwrap();
    for status in [400, 413, 415, 422] {
        receiver.answer(status);
        let answer = post();
        assert_eq!(answer.status, 422, "{status}: {}", answer.text());
    }
    for status in [401, 403, 404, 410, 302, 409, 408, 425, 429, 500, 501, 502, 503] {
        receiver.answer(status);
        // 504 is the honest answer where a try is under way at the very moment of the deadline.
        let answer = eventually("an answer between two tries", LIMIT, || {
            let answer = post();
            (answer.status != 504).then_some(answer)
        });
        assert_eq!(answer.status, 503, "{status}: {}", answer.text());
        assert!(answer.header("retry-after").is_some(), "{status}");
        receiver.answer(204);
        eventually("the mended receiver", LIMIT, || {
            (post().status == 204).then_some(())
        });
    }
    let books = Books::of(&weft.metrics());
    books.assert_balanced();
    assert_eq!((books.dead_lettered, books.dropped), (0.0, 0.0));
}

/// Records that say that they are events, and are none.
fn malformed(topic: &str) -> Vec<(&'static str, Record)> {
    let mut null = record(topic, "x");
    null.headers.push(("ce_subject".to_owned(), None));
    let mut missing = record(topic, "x");
    missing.headers.retain(|(name, _)| name != "ce_type");
    let structured = Record::to(topic).header("content-type", "application/cloudevents+json");
    vec![
        ("a null header", null),
        (
            "a header that is not UTF-8",
            record(topic, "x").header("ce_subject", [0xff, 0xfe]),
        ),
        (
            "a bad attribute's name",
            record(topic, "x").header("ce_bad-name", "x"),
        ),
        (
            "a time that is none",
            record(topic, "x").header("ce_time", "yesterday"),
        ),
        ("a required attribute that is missing", missing),
        ("JSON that is none", structured.value("{\"specversion\":\"1.0\",")),
    ]
    .into_iter()
    .map(|(what, record)| (what, record.partition(0)))
    .collect()
}

#[test]
fn a_malformed_record_holds_the_offset_until_the_file_says_what_to_do() {
    let case = Case::new("malformed");
    for (what, bad) in malformed(&case.topic) {
        let before = case.kafka.offsets(&case.topic)[0].1;
        case.kafka
            .produce(&[bad, record(&case.topic, "next").partition(0)]);
        case.receiver.forget();
        let mut weft: Weft = case.router("on_rejected: pause", "enabled: true").start();
        // Its neighbour is delivered, and it stays.
        wait_metric(&weft, "weft_ingress_malformed_total", &[("ingress", "in")], 1.0);
        wait_metric(&weft, "weft_ingress_held_lanes", &[("ingress", "in")], 1.0);
        let _ = case.receiver.wait_for(1, LIMIT);
        assert_eq!(case.committed().unwrap_or(0), before, "{what}");
        weft.rewrite(&support::with_head(
            &case.file("on_malformed: drop", "enabled: true"),
        ));
        weft.sighup();
        case.wait_committed(before + 2);
        weft.sigterm();
        assert_eq!(weft.wait().code(), Some(0), "{what}");
    }
}

#[test]
fn a_malformed_record_is_in_the_dead_letter_with_its_bytes_and_headers() {
    let case = Case::new("kept");
    let bad = malformed(&case.topic);
    for (_, record) in &bad {
        case.kafka.produce(std::slice::from_ref(record));
    }
    let weft = case.router("dead_letter: dead", "enabled: true").start();
    case.wait_committed(i64::try_from(bad.len()).unwrap());
    let letters = case.kafka.drain(&case.dead);
    assert_eq!(letters.len(), bad.len());
    for (offset, (what, sent)) in bad.iter().enumerate() {
        let id = format!("{}/0/{offset}", case.topic);
        let letter = letters.iter().find(|letter| attribute(letter, "id") == id);
        let letter = letter.unwrap_or_else(|| panic!("{what}: no letter {id}"));
        assert_eq!(attribute(letter, "type"), "weft.malformed", "{what}");
        assert_eq!(attribute(letter, "weftclass"), "malformed", "{what}");
        assert_eq!(letter.value, sent.value, "{what}");
        // Somewhere it says what was wrong, not only that something was.
        let hint = ["no value", "UTF-8", "bad-name", "time", "type", "JSON"][offset];
        let said = attribute(letter, "weftreason");
        assert!(said.contains(hint), "{what}: nothing of {hint:?} in {said}");
        // Not the content type of a whole event, which the bytes are not: readers of the letter would trust it.
        assert!(
            !letter
                .text_header("content-type")
                .is_some_and(|media| media.contains("cloudevents")),
            "{what}"
        );
        let headers: Vec<(String, Value)> = serde_json::from_str(attribute(letter, "weftheaders")).unwrap();
        if *what == "a header that is not UTF-8" {
            let kept = headers
                .iter()
                .any(|(name, value)| name == "ce_subject" && value["base64"] == "//4=");
            assert!(kept, "{headers:?}");
        }
    }
    let books = Books::of(&weft.metrics());
    books.assert_balanced();
    assert_eq!(books.dead_lettered, bad.len() as f64);
}
