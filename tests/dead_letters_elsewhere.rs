//! Dead letters in a topic or a queue, on the real binary, without a store: found, shown with their cause, sent again, gone
//! (C18); nothing of them is lost by a kill in the middle (C4).
#![cfg(all(feature = "kafka", feature = "amqp", feature = "http"))]
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::letters::{Case, WINDOW, assert_has, ids, numbers};
use support::{LIMIT, event, record};
use weft_rig::{Artemis, Kafka, Record, Reply, Request, eventually, unique};

/// A topic of three partitions, as a destination.
fn topic(kafka: &Kafka, label: &str) -> (String, String) {
    let topic = kafka.topic(label, 3);
    let section = format!("kafka: {{ brokers: [\"{}\"], topic: {topic} }}", kafka.brokers());
    (topic, section)
}

/// A queue, and it as a destination.
fn queue(artemis: &Artemis, label: &str) -> (String, String) {
    let (url, address) = (artemis.amqp_url(), unique(label));
    let section = format!("amqp: {{ url: \"{url}\", address: {address}, kind: queue }}");
    (address, section)
}

impl Case {
    fn new(dead: &str) -> Case {
        Case::with("", dead)
    }

    /// `ingress`: a further one.
    fn with(ingress: &str, dead: &str) -> Case {
        Case::start(|url, head| {
            format!(
                r#"{head}{ingress}
destinations:
  crm: {{ http: {{ url: "{url}" }} }}
  audit: {{ http: {{ url: "{url}audit" }} }}
  dead: {{ {dead} }}
  both: {{ multicast: [crm, audit] }}
routes:
  orders: {{ to: crm, dead_letter: dead }}
"#
            )
        })
    }

    #[track_caller]
    fn refused(&self, ids: std::ops::Range<usize>) {
        self.refuse(ids.map(|id| {
            let mut event = event(&id.to_string());
            // Each has a partition of its own.
            event["partitionkey"] = json!(id.to_string());
            event
        }));
    }

    /// About these letters.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        self.ends_well(&[&["dlq"], args, &["--in", "dead"]].concat())
    }

    #[track_caller]
    fn fails(&self, code: i32, args: &[&str]) -> String {
        self.ends_with(code, &[&["dlq"], args].concat())
    }

    #[track_caller]
    fn letters(&self) -> Vec<Value> {
        let all: Value = serde_json::from_str(&self.says(&["list", "--json", "--limit", "5000"])).unwrap();
        let letters = all["letters"].as_array().unwrap().clone();
        assert_eq!(all["counts"]["letters"], json!(letters.len()));
        letters
    }

    #[track_caller]
    fn left(&self) -> BTreeSet<String> {
        let id = |letter: &Value| letter["event_id"].as_str().unwrap().to_owned();
        self.letters().iter().map(id).collect()
    }

    /// In the middle of a replay the router is killed: each letter is there still, or has arrived, and another replay brings
    /// the rest.
    #[track_caller]
    fn a_kill_in_the_middle_of_a_replay_loses_nothing(mut self) {
        const COUNT: usize = 200;
        self.refused(0..COUNT);
        assert_eq!(self.left(), numbers(0..COUNT));
        self.receiver.answer(204);
        self.says(&["replay", "--all", "--rate", "100/s", "--no-wait"]);
        let _ = self.receiver.wait_for(COUNT / 4, LIMIT);
        self.weft.kill9();
        self.weft.restart();
        let delivered = || ids(&self.receiver.requests());
        // A broker may take its time to see that the former router is gone, and to show what that one had.
        eventually("each is here or there", LIMIT, || {
            let all: BTreeSet<String> = self.left().union(&delivered()).cloned().collect();
            (all == numbers(0..COUNT)).then_some(())
        });
        assert!(delivered().len() < COUNT, "it was in the middle");
        self.says(&["replay", "--all"]);
        assert_eq!(delivered(), numbers(0..COUNT));
        assert_eq!(self.left(), numbers(0..0));
        // What had left is remembered a second later, or so: at most what is sent in that time, and a window.
        let twice = self.receiver.accepted() - COUNT;
        assert!(twice <= 200 + 2 * WINDOW, "{twice} came twice");
    }
}

/// What a receiver saw of an event.
fn described(request: &Request) -> BTreeSet<(String, String)> {
    let headers = request.headers.iter().filter(|(name, _)| name.starts_with("ce-"));
    headers.cloned().collect()
}

/// C18, from end to end: a poison record of one topic, in another one.
#[test]
fn a_poison_record_is_found_in_its_topic_shown_sent_again_and_gone() {
    let kafka = Kafka::shared();
    let (orders, brokers) = (kafka.topic("poison", 1), kafka.brokers());
    let (dead, section) = topic(kafka, "poison-dead");
    let ingress = format!(
        "  orders: {{ kafka: {{ brokers: [\"{brokers}\"], topics: [{orders}], group: {orders}, start: earliest }} }}"
    );
    let mut case = Case::with(&ingress, &section);
    case.receiver
        .respond(|_| Reply::status(422).body("the customer is unknown"));
    kafka.produce(&[record(&orders, "7").key("customer-1").partition(0)]);
    let first = case.receiver.wait_for(1, LIMIT).remove(0);
    eventually("it is a dead letter", LIMIT, || {
        (case.letters().len() == 1).then_some(())
    });
    case.receiver.forget();

    let list = case.says(&["list"]);
    assert_has(
        &list,
        &[
            "crm",
            "orders",
            "refused",
            "com.example.test",
            "1 dead letter,",
            "by destination: crm 1",
        ],
    );
    let letter = case.letters().remove(0);
    let place = letter["place"].as_str().unwrap();
    assert!(list.contains(place) && place.ends_with("/0"), "{place}: {list}");
    let shown = case.says(&["show", place]);
    assert_has(
        &shown,
        &[
            &format!("letter {place} in dead"),
            "422",
            "would send it to crm",
            "weftclass",
            "{\"id\":\"7\"}",
            "replays      0",
        ],
    );
    assert_eq!(case.says(&["show", "--event", "7"]), shown);
    let dry = case.says(&["replay", "--id", place, "--dry-run"]);
    assert_has(&dry, &[place, "would send it to crm", "nothing was sent"]);
    assert_eq!(case.receiver.count(), 0);

    // Not mended yet: it dies again, is another letter, and says so.
    case.receiver.answer(422);
    let again = case.fails(1, &["replay", "--in", "dead", "--destination", "crm"]);
    assert_has(
        &again,
        &[
            "1 died again, and are letters anew: `weft dlq list --in dead`",
            &format!("replay of dead (topic {dead})  done"),
            "dead again 1",
            "until its retention has passed",
        ],
    );
    let letters = case.letters();
    assert_eq!((letters.len(), &letters[0]["replays"]), (1, &json!(1)));
    case.receiver.forget();

    case.receiver.answer(204);
    let mended = case.says(&["replay", "--reason", "refused"]);
    assert!(mended.contains("delivered 1"), "{mended}");
    let requests = case.receiver.wait_for(1, LIMIT);
    assert_eq!(requests.len(), 1);
    assert_eq!(
        described(&requests[0]),
        described(&first),
        "exactly the event that it was"
    );
    assert_eq!(requests[0].body, first.body);
    assert_eq!(case.letters(), [json!(null); 0]);
    let again = case.fails(1, &["replay", "--in", "dead", "--all"]);
    assert_has(&again, &["meant 0", "no letter is meant"]);

    // What left is remembered by Kafka, not by this process.
    case.weft.kill9();
    case.weft.restart();
    assert_eq!(case.letters(), [json!(null); 0]);
    assert_eq!(kafka.drain(&dead).len(), 2, "a topic has no deletion");
    case.receiver.forget();
    case.refused(20..21);
    assert_eq!(case.left(), numbers(20..21));
}

/// Some letters of many leave, wherever they are; what is none of Weft's goes where somebody says.
#[test]
fn letters_of_a_topic_are_chosen_one_by_one() {
    let kafka = Kafka::shared();
    let (dead, section) = topic(kafka, "chosen");
    let case = Case::new(&section);
    case.refused(0..30);
    kafka.produce(&[Record::to(&dead).value("no event").partition(1)]);
    let letters = case.letters();
    assert_eq!(letters.len(), 31);
    let foreign: Vec<&Value> = letters
        .iter()
        .filter(|letter| letter["reason"] == "foreign")
        .collect();
    assert_eq!(foreign.len(), 1);
    let foreign = foreign[0]["place"].as_str().unwrap();
    assert!(foreign.starts_with("1/"), "{foreign}");
    let place = |id: &str| {
        let letter = letters.iter().find(|letter| letter["event_id"] == id).unwrap();
        letter["place"].as_str().unwrap().to_owned()
    };

    case.receiver.answer(204);
    let some = ["replay", "--id", &place("5"), "--id", &place("21")];
    assert_has(&case.says(&some), &["meant 2", "delivered 2"]);
    let one = case.says(&["replay", "--event", "11"]);
    assert_has(&one, &["meant 1", "delivered 1"]);
    let expected: BTreeSet<String> = ["5", "11", "21"].map(str::to_owned).into();
    assert_eq!(ids(&case.receiver.requests()), expected);
    assert_eq!(case.letters().len(), 28);

    let asked = case.fails(1, &["purge", "--in", "dead", "--id", &place("3")]);
    assert_has(&asked, &["1 would leave dead for good"]);
    let purged = case.says(&["purge", "--id", &place("3"), "--id", &place("4"), "--yes"]);
    assert_has(&purged, &["purged 2", "until its retention has passed"]);
    assert_eq!(case.letters().len(), 26);

    // Nobody owed it; it stays until somebody says where it goes.
    let stays = case.fails(1, &["replay", "--in", "dead", "--reason", "foreign"]);
    assert_has(&stays, &[&format!("{foreign} stays: "), "no dead letter of Weft"]);
    case.receiver.forget();
    let sent = case.says(&["replay", "--id", foreign, "--to", "audit"]);
    assert!(sent.contains("delivered 1"), "{sent}");
    let requests = case.receiver.wait_for(1, LIMIT);
    assert_eq!(
        (requests[0].path.as_str(), &requests[0].body[..]),
        ("/audit", &b"no event"[..])
    );

    let exported = case.says(&["export", "--limit", "3"]);
    let first: Value = serde_json::from_str(exported.lines().next().unwrap()).unwrap();
    assert_eq!(
        (exported.lines().count(), &first["weftclass"]),
        (3, &json!("refused"))
    );
    let all = case.says(&["purge", "--all", "--yes"]);
    assert!(all.contains("purged 25"), "{all}");
    assert_eq!(case.letters().len(), 0);
    let ended = |result| {
        let labels = [("ingress", "weft:replay"), ("result", result)];
        case.weft.metrics().sum("weft_obligations_settled_total", &labels)
    };
    assert_eq!((ended("delivered"), ended("dead_lettered")), (4.0, 0.0));
}

/// The same in a queue, whose messages have no number that holds: they are chosen by what they are.
#[test]
fn letters_of_a_queue_are_found_shown_sent_again_and_gone() {
    let artemis = Artemis::shared();
    let (address, section) = queue(artemis, "dead");
    let case = Case::new(&section);
    case.refused(0..30);
    assert_eq!((case.left(), artemis.depth(&address)), (numbers(0..30), 30));
    let letter = case.letters().remove(3);
    assert_eq!(
        (&letter["place"], &letter["reason"]),
        (&Value::Null, &json!("refused"))
    );
    let shown = case.says(&["show", "--event", "3"]);
    assert_has(
        &shown,
        &[
            "letter - in dead",
            "422",
            "would send it to crm",
            "{\"id\":\"3\"}",
        ],
    );
    let by_id = case.fails(64, &["show", "3", "--in", "dead"]);
    assert!(by_id.contains("--event") || by_id.contains("event"), "{by_id}");
    let dry = case.says(&["replay", "--event", "3", "--dry-run"]);
    assert_has(&dry, &["would send it to crm", "1 would be sent"]);

    // Not mended yet: it dies again, comes behind the others, and is not met again.
    case.receiver.answer(422);
    let again = case.fails(1, &["replay", "--in", "dead", "--event", "3"]);
    assert_has(&again, &["meant 1", "dead again 1", "replay of dead (queue"]);
    let letters = case.letters();
    let last = letters.last().unwrap();
    assert_eq!((&last["event_id"], &last["replays"]), (&json!("3"), &json!(1)));
    assert_eq!(letters.len(), 30);
    case.receiver.forget();

    case.receiver.answer(204);
    for id in ["3", "17"] {
        let mended = case.says(&["replay", "--event", id]);
        assert!(mended.contains("delivered 1"), "{mended}");
    }
    let requests = case.receiver.wait_for(2, LIMIT);
    assert_eq!(ids(&requests), ["3", "17"].map(str::to_owned).into());
    assert!(
        requests.iter().all(|request| request
            .headers
            .iter()
            .all(|(name, _)| !name.starts_with("ce-weft"))),
        "as the events that they were"
    );
    assert_eq!((case.letters().len(), artemis.depth(&address)), (28, 28));
    let purged = case.says(&["purge", "--event", "5", "--yes"]);
    assert!(purged.contains("purged 1"), "{purged}");
    assert!(!case.left().contains("5"));
    let all = case.says(&["replay", "--all"]);
    assert!(all.contains("delivered 27"), "{all}");
    assert_eq!((case.left(), artemis.depth(&address)), (numbers(0..0), 0));
}

#[test]
fn a_kill_in_the_middle_of_a_replay_out_of_a_queue_loses_nothing() {
    let (_, section) = queue(Artemis::shared(), "killed");
    Case::new(&section).a_kill_in_the_middle_of_a_replay_loses_nothing();
}

#[test]
fn a_kill_in_the_middle_of_a_replay_out_of_a_topic_loses_nothing() {
    let (_, section) = topic(Kafka::shared(), "killed");
    Case::new(&section).a_kill_in_the_middle_of_a_replay_loses_nothing();
}

/// What is asked for and cannot be says what to write instead.
#[test]
fn a_place_where_no_letters_are_says_so() {
    let kafka = Kafka::shared();
    let (_, section) = topic(kafka, "nowhere");
    let case = Case::new(&section);
    for (code, args, said) in [
        (1, vec!["list"], "set `store:`"),
        (64, vec!["list", "--in", "nowhere"], "here are: audit crm dead"),
        (64, vec!["list", "--in", "crm"], "destination crm: "),
        (64, vec!["list", "--in", "both"], "is a group"),
        (64, vec!["show", "7", "--in", "dead"], "PARTITION/OFFSET"),
        (64, vec!["show", "0/7"], "--in DESTINATION"),
        (1, vec!["show", "0/7", "--in", "dead"], "there is no letter 0/7"),
        (1, vec!["show", "--event", "7", "--in", "dead"], "no such letter"),
        (64, vec!["show", "--in", "dead"], "which letter?"),
        (64, vec!["purge", "--in", "dead", "--yes"], "which letters?"),
    ] {
        assert_has(&case.fails(code, &args), &[said]);
    }
    assert_eq!(
        case.letters(),
        [json!(null); 0],
        "a topic that is empty is no fault"
    );
}
