//! Dead letters on the real binary: found, shown with their cause, sent again, gone (C18); nothing of them is lost by a kill
//! in the middle (C4, C24).
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::letters::{Case, WINDOW, ids, numbers, text};
use support::{LIMIT, event};
use weft_rig::{Reply, Request, eventually, http};

/// A destination without a log.
const PLAIN: &str = "";
/// One that keeps what it delivered.
const KEEPS: &str = ", store: { retain: 1h }";

impl Case {
    fn new() -> Case {
        Case::with(PLAIN)
    }

    /// `keys`: further ones of the destination.
    fn with(keys: &str) -> Case {
        Case::start(|url, head| {
            format!(
                r#"{head}
store: {{ path: "${{DIR}}/store" }}
destinations:
  crm: {{ http: {{ url: "{url}" }}{keys} }}
  audit: {{ http: {{ url: "{url}audit" }} }}
routes:
  orders: {{ to: crm, dead_letter: local }}
"#
            )
        })
    }

    #[track_caller]
    fn refused(&self, ids: std::ops::Range<usize>) {
        self.refuse(ids.map(|id| event(&id.to_string())));
    }

    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        self.ends_well(args)
    }

    #[track_caller]
    fn fails(&self, code: i32, args: &[&str]) -> String {
        self.ends_with(code, args)
    }

    fn letters(&self) -> Vec<Value> {
        let all: Value =
            serde_json::from_str(&self.says(&["dlq", "list", "--json", "--limit", "5000"])).unwrap();
        all["letters"].as_array().unwrap().clone()
    }

    /// After a replay of so many letters that was cut short: each is a letter still, or has arrived, and another replay
    /// brings the rest.
    #[track_caller]
    fn nothing_is_lost(&self, count: usize) {
        let left: BTreeSet<String> = self
            .letters()
            .iter()
            .map(|letter| letter["event_id"].as_str().unwrap().to_owned())
            .collect();
        let delivered = ids(&self.receiver.requests());
        assert!(
            left.len() < count + 1 && delivered.len() < count,
            "it was in the middle"
        );
        let all: BTreeSet<String> = left.union(&delivered).cloned().collect();
        assert_eq!(all, numbers(0..count), "each is here or there");
        self.says(&["dlq", "replay", "--all"]);
        assert_eq!(ids(&self.receiver.requests()), numbers(0..count));
        assert_eq!(self.letters().len(), 0);
        // Acknowledgements may wait for a second: at most what is sent in that time, and a window.
        let twice = self.receiver.accepted() - count;
        assert!(twice <= 100 + 2 * WINDOW, "{twice} came twice");
    }

    fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.weft.metrics().get(name, labels).unwrap_or(0.0)
    }
}

/// C18, from end to end.
#[test]
fn a_letter_is_found_shown_with_its_cause_sent_again_and_gone() {
    let case = Case::new();
    case.receiver
        .respond(|_| Reply::status(422).body("the customer is unknown"));
    let posted = http::post_event(case.web, "/", &event("7")).unwrap();
    assert!((200..300).contains(&posted.status), "{}", posted.text());
    let first = case.receiver.wait_for(1, LIMIT).remove(0);
    case.receiver.forget();

    let list = case.says(&["dlq", "list"]);
    for part in [
        "crm",
        "orders",
        "refused",
        "com.example.test",
        "1 dead letter,",
        "by destination: crm 1",
    ] {
        assert!(list.contains(part), "{part} is not in\n{list}");
    }
    assert!(case.says(&["status"]).contains("1 dead letter waits"));
    let letter = case.letters().remove(0);
    let id = letter["id"].to_string();
    let shown = case.says(&["dlq", "show", &id]);
    for part in [
        "422",
        "would send it to crm",
        "weftclass",
        "{\"id\":\"7\"}",
        "replays      0",
    ] {
        assert!(shown.contains(part), "{part} is not in\n{shown}");
    }
    let dry = case.says(&["dlq", "replay", "--id", &id, "--dry-run"]);
    assert!(
        dry.contains("would send it to crm") && dry.contains("nothing was sent"),
        "{dry}"
    );
    assert_eq!(case.receiver.count(), 0);

    // Not mended yet: it dies again, and says so.
    case.receiver.answer(422);
    let again = case.fails(1, &["dlq", "replay", "--destination", "crm"]);
    assert!(
        again.contains("dead again 1") && again.contains("1 died again"),
        "{again}"
    );
    let letters = case.letters();
    assert_eq!((letters.len(), &letters[0]["replays"]), (1, &json!(1)));
    case.receiver.forget();

    case.receiver.answer(204);
    let mended = case.says(&["dlq", "replay", "--reason", "refused"]);
    assert!(mended.contains("delivered 1"), "{mended}");
    let requests = case.receiver.wait_for(1, LIMIT);
    let described = |request: &Request| {
        let headers = request.headers.iter().filter(|(name, _)| name.starts_with("ce-"));
        headers.cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(requests.len(), 1);
    assert_eq!(
        described(&requests[0]),
        described(&first),
        "exactly the event that it was"
    );
    assert_eq!(requests[0].body, first.body);
    assert_eq!(case.letters(), [json!(null); 0]);
    assert!(!case.says(&["status"]).contains("dead letter"));
    let log = [("log", "local")];
    let settled = |result| case.metric("weft_store_settled_total", &[log[0], ("result", result)]);
    assert_eq!(
        (
            case.metric("weft_store_appended_total", &log),
            settled("delivered"),
            settled("dead_lettered"),
            case.metric("weft_store_pending_events", &log)
        ),
        (2.0, 1.0, 1.0, 0.0)
    );
}

/// C4: a kill repeats a window at most, and loses nothing.
#[test]
fn a_kill_in_the_middle_of_a_replay_loses_nothing() {
    const COUNT: usize = 200;
    let mut case = Case::new();
    case.refused(0..COUNT);
    case.receiver.answer(204);
    case.says(&["dlq", "replay", "--all", "--rate", "100/s", "--no-wait"]);
    let _ = case.receiver.wait_for(COUNT / 4, LIMIT);
    case.weft.kill9();
    case.weft.restart();
    case.nothing_is_lost(COUNT);
}

/// The same at each point of a replay that has a name.
#[test]
fn a_crash_at_each_point_of_a_replay_loses_nothing() {
    // More than have ended and a window: it is in the middle, however slow the machine is.
    const COUNT: usize = 200;
    const CRASH: &str = "WEFT_CRASH_AT";
    for point in ["replay.sent", "replay.ended"] {
        let mut case = Case::new();
        case.refused(0..COUNT);
        case.receiver.answer(204);
        case.weft.set_env(CRASH, Some(&format!("{point}:50")));
        case.weft.kill9();
        case.weft.restart();
        case.says(&["dlq", "replay", "--all", "--no-wait"]);
        assert!(!case.weft.wait().success(), "void: {point} did not end it");
        case.weft.set_env(CRASH, None);
        case.weft.restart();
        case.nothing_is_lost(COUNT);
    }
}

#[test]
fn purge_wants_a_word_and_export_takes_nothing() {
    let case = Case::new();
    case.refused(0..5);
    let exported = case.says(&["dlq", "export", "--limit", "4"]);
    let events: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(events.len(), 4);
    assert_eq!(
        (&events[0]["weftclass"], &events[0]["data"]),
        (&json!("refused"), &json!({ "id": "0" }))
    );
    let batch: Value = serde_json::from_str(&case.says(&["dlq", "export", "--format", "batch"])).unwrap();
    assert_eq!(batch.as_array().unwrap().len(), 5);

    let asked = case.run(&["dlq", "purge", "--event", "3"]);
    assert_eq!(asked.status.code(), Some(1));
    assert!(
        text(&asked.stderr).contains("1 would be gone for good"),
        "{}",
        text(&asked.stderr)
    );
    assert_eq!(
        case.run(&["dlq", "purge", "--yes"]).status.code(),
        Some(64),
        "of which letters?"
    );
    assert_eq!(case.letters().len(), 5);
    assert!(
        case.says(&["dlq", "purge", "--event", "3", "--yes"])
            .contains("purged 1")
    );
    assert_eq!(case.letters().len(), 4);
    assert!(
        case.says(&["dlq", "purge", "--all", "--yes"])
            .contains("purged 4")
    );
    assert_eq!(case.letters().len(), 0);
    let purged = [("log", "local"), ("result", "purged")];
    assert_eq!(case.metric("weft_store_settled_total", &purged), 5.0);
    assert_eq!(
        case.run(&["dlq", "show", "0"]).status.code(),
        Some(1),
        "there is no such letter"
    );
}

/// A filter that is mistyped means nothing, and a script that goes on after it is told.
#[test]
fn what_means_no_letter_ends_with_1_and_what_cannot_be_with_64() {
    let case = Case::new();
    case.refused(0..2);
    case.receiver.answer(204);
    let file = case.weft.dir().join("letters.json");
    let path = file.to_str().unwrap();
    for (code, args, said) in [
        (1, vec!["replay", "--destination", "thre"], "no letter is meant"),
        (
            1,
            vec!["replay", "--destination", "thre", "--dry-run"],
            "no letter is meant",
        ),
        (1, vec!["purge", "--route", "x", "--yes"], "no letter is meant"),
        (
            1,
            vec!["export", "--type", "x", "--output", path],
            "no letter is meant",
        ),
        (
            64,
            vec!["list", "--reason", "refuse"],
            "there are: malformed unmatched refused",
        ),
        (64, vec!["list", "--since", "1h", "--until", "2h"], "not earlier"),
        (64, vec!["list", "--limit", "0"], "--limit"),
        (64, vec!["replay", "--all", "--rate", "1/d"], "30/min"),
        (
            1,
            vec!["replay", "--id", "0", "--id", "88888", "--rate", "600/min"],
            "not there: 88888",
        ),
    ] {
        let said_all = case.fails(code, &[&["dlq"], &args[..]].concat());
        assert!(said_all.contains(said), "{args:?}: {said_all}");
    }
    assert!(!file.exists(), "nothing was exported");
    assert_eq!((case.letters().len(), case.receiver.count()), (1, 1));
    std::fs::write(&file, "mine").unwrap();
    let kept = case.fails(1, &["dlq", "export", "--output", path]);
    assert!(kept.contains("remove it"), "{kept}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

/// What is under way at a destination that does not answer stays, whoever ends the job.
#[test]
fn a_replay_that_is_cancelled_leaves_its_letters() {
    let case = Case::new();
    case.refused(0..3);
    case.receiver.respond(|_| Reply::hang());
    case.says(&["dlq", "replay", "--all", "--no-wait"]);
    let _ = case.receiver.wait_for(1, LIMIT);
    let cancelled = case.says(&["dlq", "job", "--cancel"]);
    assert!(
        cancelled.contains("cancelled") && cancelled.contains("stays"),
        "{cancelled}"
    );
    assert_eq!(case.letters().len(), 3);
    case.receiver.answer(204);
    eventually("the router takes another job", LIMIT, || {
        case.run(&["dlq", "replay", "--all"])
            .status
            .success()
            .then_some(())
    });
    assert_eq!(ids(&case.receiver.requests()), numbers(0..3));
}

/// What was delivered out of a log is there as long as `retain` says, and goes where somebody wants it.
#[test]
fn what_a_log_kept_is_sent_to_another_destination() {
    let case = Case::with(KEEPS);
    for id in ["0", "1", "2"] {
        let answer = http::post_event(case.web, "/", &event(id)).unwrap();
        assert!((200..300).contains(&answer.status), "{}", answer.text());
    }
    let _ = case.receiver.wait_for(3, LIMIT);
    eventually("the log is empty", LIMIT, || {
        (case.metric("weft_store_pending_events", &[("log", "crm")]) == 0.0).then_some(())
    });
    case.receiver.forget();
    let order = |more: &[&'static str]| {
        let words = [
            "replay",
            "--from-log",
            "crm",
            "--from",
            "1h",
            "--to-destination",
            "audit",
        ];
        [&words[..], more].concat()
    };
    let dry = case.says(&order(&["--dry-run"]));
    assert!(
        dry.contains("3 would be sent, 0 would stay") && dry.contains("audit"),
        "{dry}"
    );
    assert_eq!(case.receiver.count(), 0);
    let one = case.says(&order(&["--filter", "id=1"]));
    assert!(one.contains("delivered 1"), "{one}");
    let all = case.says(&order(&[]));
    assert!(all.contains("delivered 3"), "it is there as before: {all}");
    let requests = case.receiver.requests();
    assert!(requests.iter().all(|request| request.path == "/audit"));
    assert_eq!((requests.len(), ids(&requests)), (4, numbers(0..3)));
    let delivered = [("ingress", "weft:replay"), ("result", "delivered")];
    assert_eq!(case.metric("weft_obligations_settled_total", &delivered), 4.0);
    let nowhere = case.run(&[
        "replay",
        "--from-log",
        "crm",
        "--from",
        "1h",
        "--to-destination",
        "local",
    ]);
    assert_eq!(nowhere.status.code(), Some(64), "{}", text(&nowhere.stderr));
}
