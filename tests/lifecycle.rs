//! A router's life: reload swaps what changed and nothing else, a stop drains and says for what it waits (C29, C30).
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::thread;

use support::{Books, LIMIT, post, record, records, wait_committed, wait_metric, weft, with_head};
use weft_rig::{Kafka, Receiver, Reply, Weft, eventually, free_port, http};

/// Waits until the last reload is over, and asserts how it ended.
#[track_caller]
fn reload(weft: &mut Weft, yaml: &str, result: &str) {
    let counted = |weft: &Weft| {
        weft.metrics()
            .sum("weft_config_reloads_total", &[("result", result)])
    };
    let before = counted(weft);
    weft.rewrite(&with_head(yaml));
    weft.sighup();
    eventually(&format!("a reload that is {result}"), LIMIT, || {
        (counted(weft) > before).then_some(())
    });
}

fn assignments(weft: &Weft) -> usize {
    weft.log()
        .all()
        .iter()
        .filter(|line| line.contains("partitions assigned"))
        .count()
}

#[test]
fn a_reload_changes_what_changed_and_reopens_no_ingress() {
    let kafka = Kafka::shared();
    let topic = kafka.topic("reload", 2);
    let (old, new, port) = (Receiver::start(), Receiver::start(), free_port());
    let ingress = format!(
        r#"
ingress:
  log: {{ kafka: {{ brokers: ["{}"], topics: [{topic}], group: {topic} }} }}
  web: {{ http: {{ listen: "127.0.0.1:{port}" }} }}
"#,
        kafka.brokers()
    );
    let file = |rest: &str| format!("{ingress}{rest}");
    let first = file(&format!(
        "destinations: {{ one: {{ http: {{ url: \"{}\" }} }} }}\nroutes: {{ a: {{ from: [log], to: one }} }}\n",
        old.url("/one")
    ));
    let mut weft = weft(&first).start();
    kafka.produce(&[record(&topic, "1")]);
    assert_eq!(old.wait_for(1, LIMIT)[0].path, "/one");
    assert_eq!(post(port, "/", "unmatched"), 204);
    let group_joined = assignments(&weft);

    // A route more, and another address for the destination.
    let second = file(&format!(
        "destinations:\n  one: {{ http: {{ url: \"{}\" }} }}\n  two: {{ http: {{ url: \"{}\" }} }}\nroutes:\n  a: {{ from: [log], to: one }}\n  b: {{ from: [web], to: two }}\n",
        new.url("/moved"),
        new.url("/two")
    ));
    reload(&mut weft, &second, "applied");
    assert_eq!(post(port, "/", "2"), 204);
    kafka.produce(&[record(&topic, "3")]);
    let seen = new.wait_for(2, LIMIT);
    assert_eq!(
        seen.iter()
            .map(|request| request.path.as_str())
            .collect::<Vec<_>>(),
        ["/two", "/moved"]
    );
    assert_eq!(old.count(), 1);

    // A file that is wrong changes nothing, and the log says where it is wrong.
    reload(
        &mut weft,
        &file("destinations: { one: { htpp: {} } }\nroutes: { a: { to: one } }\n"),
        "refused",
    );
    weft.log()
        .wait_for("the mistake", LIMIT, |line| line.contains("htpp"));
    assert_eq!(post(port, "/", "4"), 204);
    kafka.produce(&[record(&topic, "5")]);
    let _ = new.wait_for(4, LIMIT);

    // Keys of an ingress that its connector does not see reopen nothing either.
    reload(
        &mut weft,
        &second
            .replace("group:", "group: ")
            .replace("web: { http", "web: { unmatched: reject, http"),
        "applied",
    );
    assert_eq!(
        assignments(&weft),
        group_joined,
        "a reload is no rebalance:\n{}",
        weft.log().tail()
    );
    assert!(
        !weft.log().all().iter().any(|line| line.contains("revoked")),
        "{}",
        weft.log().tail()
    );
    let listening = weft
        .log()
        .all()
        .iter()
        .filter(|line| line.contains("listening") && line.contains(&port.to_string()))
        .count();
    assert_eq!(listening, 1, "the listener was not opened again");
    Books::of(&weft.metrics()).assert_balanced();
}

#[test]
fn a_file_that_is_swapped_by_a_link_is_read_again() {
    let receiver = Receiver::start();
    let port = free_port();
    let file = |path: &str| {
        with_head(&format!(
            "ingress: {{ web: {{ http: {{ listen: \"127.0.0.1:{port}\" }} }} }}\ndestinations: {{ out: {{ http: {{ url: \"{}\" }} }} }}\nroutes: {{ all: {{ to: out }} }}\n",
            receiver.url(path)
        ))
    };
    let weft = Weft::at(env!("CARGO_BIN_EXE_weft")).config(&file("/old")).start();
    assert_eq!(post(port, "/", "1"), 204);
    // As the kubelet does it with a ConfigMap: a new link over the old name.
    fs::write(weft.dir().join("new.yaml"), file("/new")).unwrap();
    symlink("new.yaml", weft.dir().join("link")).unwrap();
    fs::rename(weft.dir().join("link"), weft.dir().join("weft.yaml")).unwrap();
    wait_metric(&weft, "weft_config_reloads_total", &[("result", "applied")], 1.0);
    assert_eq!(post(port, "/", "2"), 204);
    assert_eq!(
        receiver
            .requests()
            .iter()
            .map(|r| r.path.clone())
            .collect::<Vec<_>>(),
        ["/old", "/new"]
    );
}

/// What `weft check --diff` says of two files: a section's entries as the log writes them.
fn foretold(diff: &serde_json::Value, section: &str, made_anew: &str) -> String {
    let mut words: Vec<(usize, String)> = Vec::new();
    for entry in diff[section].as_array().unwrap() {
        let name = entry["name"].as_str().unwrap();
        match entry["change"].as_str().unwrap() {
            "added" => words.push((0, format!("+{name}"))),
            "removed" => words.push((2, format!("-{name}"))),
            _ if entry[made_anew] == true => words.push((1, format!("~{name}"))),
            _ => {}
        }
    }
    words.sort();
    let words: Vec<String> = words.into_iter().map(|(_, word)| word).collect();
    match words.as_slice() {
        [] => "unchanged".to_owned(),
        words => words.join(" "),
    }
}

#[test]
fn check_diff_foretells_what_the_router_then_does() {
    let (receiver, [web, app]) = (Receiver::start(), [free_port(), free_port()]);
    let url = receiver.url("/");
    let file = |ingress: &str, destinations: &str, routes: &str| {
        format!(
            "ingress:\n  web: {{ http: {{ listen: \"127.0.0.1:{web}\" }}{ingress} }}\ndestinations:\n  out: {{ http: {{ url: \"{url}\" }} }}\n{destinations}routes:\n  all: {{ to: out }}\n{routes}"
        )
    };
    let other = format!("  other: {{ http: {{ url: \"{url}other\" }} }}\n");
    let files = [
        file("", "", ""),
        file(
            ", unmatched: reject",
            &other,
            "  more: { filters: [{ exact: { type: x } }], to: other }\n",
        ),
        file(
            &format!(" }}\n  app: {{ http: {{ listen: \"127.0.0.1:{app}\" }}"),
            &other.replace("/other", "/moved"),
            "  more: { to: other }\n",
        ),
        file("", "", ""),
    ];
    let mut weft = weft(&files[0]).start();
    let dir = weft.dir().to_owned();
    for (number, pair) in files.windows(2).enumerate() {
        let paths = [dir.join("old"), dir.join("new")];
        for (path, text) in paths.iter().zip(pair) {
            fs::create_dir_all(path).unwrap();
            fs::write(path.join("weft.yaml"), with_head(text)).unwrap();
        }
        let said = std::process::Command::new(env!("CARGO_BIN_EXE_weft"))
            .args(["check", "--format", "json", "--diff"])
            .args(&paths)
            .env("OBSERVE", "127.0.0.1:1")
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        let diff: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let ingresses = foretold(&diff, "ingress", "reopened");
        let destinations = foretold(&diff, "destinations", "new_client");
        let mark = weft.log().mark();
        reload(&mut weft, &pair[1], "applied");
        let line = weft
            .log()
            .wait_from(mark, "the end of this reload", LIMIT, |line| {
                line.contains("reloaded")
            });
        assert!(
            line.contains(&ingresses) && line.contains(&destinations),
            "reload {number}: {line}, foretold {ingresses} and {destinations}"
        );
        assert_eq!(post(web, "/", &number.to_string()), 204);
    }
    // What differs in listeners that no reload moves is refused by both, and changes nothing.
    let moved = with_head(&files[0]).replacen("observe", "x-observe", 1);
    fs::write(dir.join("new/weft.yaml"), &moved).unwrap();
    let said = std::process::Command::new(env!("CARGO_BIN_EXE_weft"))
        .args(["check", "--diff"])
        .args([dir.join("old"), dir.join("new")])
        .env("OBSERVE", "127.0.0.1:1")
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(64), "{why}");
    assert!(why.contains("observe.listen"), "{why}");
    assert_eq!(post(web, "/", "last"), 204);
    Books::of(&weft.metrics()).assert_balanced();
}

/// A shell's 1,024 are few for connections and the segments of a store.
#[test]
fn the_limit_of_open_files_is_raised_as_far_as_the_system_lets_it() {
    let (receiver, web) = (Receiver::start(), free_port());
    let url = receiver.url("/");
    let file = format!(
        "ingress: {{ web: {{ http: {{ listen: \"127.0.0.1:{web}\" }} }} }}\ndestinations: {{ out: {{ http: {{ url: \"{url}\" }} }} }}\nroutes: {{ all: {{ to: out }} }}\n"
    );
    let weft = weft(&file).files_at_first(256, 4096).start();
    assert_eq!(weft.open_files_max(), 4096);
}

/// A destination with three pending legs that goes away.
struct Removal {
    kafka: &'static Kafka,
    receiver: Receiver,
    topic: String,
    dead: String,
    weft: Weft,
}

const PENDING: usize = 3;

impl Removal {
    fn new(label: &str) -> Removal {
        let kafka = Kafka::shared();
        let (topic, dead) = (kafka.topic(label, 1), kafka.topic(&format!("{label}-dead"), 1));
        let receiver = Receiver::start();
        receiver.respond(|_| Reply::status(204).held());
        let file = Self::file(kafka, &topic, &dead, &receiver, true, "");
        let weft = weft(&file).start();
        kafka.produce(&records(&topic, PENDING));
        wait_metric(
            &weft,
            "weft_destination_pending_events",
            &[("destination", "gone")],
            PENDING as f64,
        );
        let _ = receiver.wait_for(1, LIMIT);
        Removal {
            kafka,
            receiver,
            topic,
            dead,
            weft,
        }
    }

    fn file(
        kafka: &Kafka,
        topic: &str,
        dead: &str,
        receiver: &Receiver,
        with: bool,
        removed: &str,
    ) -> String {
        let (gone, to) = if with {
            let url = receiver.url("/");
            (
                format!("  gone: {{ http: {{ url: \"{url}\", timeout: 60s, concurrency: 1 }} }}\n"),
                "gone",
            )
        } else {
            ("  stays: { log: }\n".to_owned(), "stays")
        };
        format!(
            r#"
connections: {{ main: {{ kafka: {{ brokers: ["{}"] }} }} }}
ingress:
  in: {{ kafka: {{ connection: main, topics: [{topic}], group: {topic}, commit_every: 50ms }} }}
destinations:
{gone}  dead: {{ kafka: {{ connection: main, topic: {dead} }} }}
routes: {{ all: {{ to: {to}, dead_letter: dead }} }}
{removed}
"#,
            kafka.brokers()
        )
    }

    /// Without a word the reload is refused and says what to write; with it, it is applied.
    fn remove(&mut self, word: &str) {
        let file = |removed: &str| {
            Self::file(
                self.kafka,
                &self.topic,
                &self.dead,
                &self.receiver,
                false,
                removed,
            )
        };
        let (silent, clear) = (file(""), file(&format!("removed: {{ gone: {word} }}")));
        reload(&mut self.weft, &silent, "refused");
        self.weft.log().wait_for("the advice", LIMIT, |line| {
            line.contains("removed:") && line.contains("gone")
        });
        let pending = self
            .weft
            .metrics()
            .sum("weft_destination_pending_events", &[("destination", "gone")]);
        assert_eq!(
            pending, PENDING as f64,
            "a reload that is refused changes nothing"
        );
        reload(&mut self.weft, &clear, "applied");
    }

    fn books_when_settled(&self) -> Books {
        wait_committed(self.kafka, &self.topic, &self.topic, PENDING as i64);
        wait_metric(&self.weft, "weft_obligations_pending", &[], 0.0);
        let books = Books::of(&self.weft.metrics());
        books.assert_balanced();
        books
    }
}

#[test]
fn what_is_pending_is_drained_when_the_file_says_so() {
    let mut case = Removal::new("drain");
    case.remove("drain");
    assert_eq!(
        case.kafka
            .committed(&case.topic, &case.topic)
            .get(&0)
            .copied()
            .unwrap_or(0),
        0
    );
    case.receiver.answer(204);
    case.receiver.release();
    assert_eq!(case.books_when_settled().delivered, PENDING as f64);
    let ids: Vec<_> = case
        .receiver
        .requests()
        .iter()
        .map(|r| r.header("ce-id").unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["0", "1", "2"]);
}

#[test]
fn what_is_pending_goes_to_the_dead_letter_when_the_file_says_so() {
    let mut case = Removal::new("bury");
    case.remove("dead_letter");
    assert_eq!(case.books_when_settled().dead_lettered, PENDING as f64);
    let letters = case.kafka.drain(&case.dead);
    assert_eq!(letters.len(), PENDING);
    assert!(
        letters
            .iter()
            .all(|letter| letter.text_header("ce_weftreason").is_some()),
        "{letters:?}"
    );
}

#[test]
fn what_is_pending_is_purged_when_the_file_says_so() {
    let mut case = Removal::new("purge");
    case.remove("purge");
    assert_eq!(case.books_when_settled().dropped, PENDING as f64);
    assert_eq!(case.kafka.drain(&case.dead), []);
}

fn web(receiver: &Receiver, port: u16) -> String {
    format!(
        "ingress: {{ web: {{ http: {{ listen: \"127.0.0.1:{port}\" }} }} }}\ndestinations: {{ slow: {{ http: {{ url: \"{}\", timeout: 60s }} }} }}\nroutes: {{ all: {{ to: slow }} }}\n",
        receiver.url("/")
    )
}

fn hanging() -> Receiver {
    let receiver = Receiver::start();
    receiver.respond(|_| Reply::status(204).held());
    receiver
}

#[test]
fn a_stop_lets_what_is_under_way_end_and_takes_nothing_new() {
    let (receiver, port) = (hanging(), free_port());
    let mut weft = weft(&web(&receiver, port)).start();
    let client = thread::spawn(move || post(port, "/", "1"));
    let _ = receiver.wait_for(1, LIMIT);
    weft.sigterm();
    weft.log()
        .wait_for("the stop", LIMIT, |line| line.contains("stopping"));
    eventually("no readiness", LIMIT, || (!weft.is_ready()).then_some(()));
    receiver.release();
    assert_eq!(client.join().unwrap(), 204, "{}", weft.log().tail());
    assert_eq!(weft.wait().code(), Some(0));
    assert!(http::get(port, "/").is_err(), "nobody listens any more");
}

#[test]
fn an_interrupt_says_for_what_it_waits_and_a_second_one_ends_it_at_once() {
    let (receiver, port) = (hanging(), free_port());
    let mut weft = weft(&web(&receiver, port)).start();
    let client = thread::spawn(move || http::post_event(port, "/", &support::event("1")));
    let _ = receiver.wait_for(1, LIMIT);
    weft.sigint();
    let line = weft
        .log()
        .wait_for("what it waits for", LIMIT, |line| line.contains("draining"));
    assert!(line.contains("slow") && line.contains('1'), "{line}");
    assert!(weft.ended().is_none());
    weft.sigint();
    // The receiver still hangs: this is not the end of the drain.
    assert_eq!(weft.wait().code(), Some(0), "{}", weft.log().tail());
    assert_eq!(receiver.count(), 1);
    // The client hears that nobody knows, or nothing at all; never that it was delivered.
    assert!(
        client
            .join()
            .unwrap()
            .map_or(true, |answer| [503, 504].contains(&answer.status))
    );
}

#[test]
fn a_drain_has_an_end() {
    let (receiver, port) = (hanging(), free_port());
    let mut weft = weft(&web(&receiver, port)).arg("--drain").arg("1s").start();
    let client = thread::spawn(move || http::post_event(port, "/", &support::event("1")));
    let _ = receiver.wait_for(1, LIMIT);
    weft.sigterm();
    assert_eq!(weft.wait().code(), Some(0));
    weft.log().wait_for("the deadline", LIMIT, |line| {
        line.contains("deadline") && line.contains("slow")
    });
    assert!(
        client
            .join()
            .unwrap()
            .map_or(true, |answer| [503, 504].contains(&answer.status))
    );
}

#[test]
fn it_is_not_ready_before_it_listens_and_says_what_it_waits_for() {
    let taken = TcpListener::bind(("127.0.0.1", free_port())).unwrap();
    let port = taken.local_addr().unwrap().port();
    let receiver = Receiver::start();
    let mut weft = weft(&web(&receiver, port)).spawn();
    weft.log().wait_for("what it waits for", LIMIT, |line| {
        line.contains("waiting") && line.contains("web") && line.contains(&port.to_string())
    });
    let answer = eventually("an answer", LIMIT, || {
        http::get(weft.observe_port(), "/readyz").ok()
    });
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("web"), "{}", answer.text());
    drop(taken);
    weft.wait_ready();
    assert_eq!(post(port, "/", "1"), 204);
}

#[test]
fn exit_codes_say_whose_turn_it_is() {
    let ends = |weft: &mut Weft| weft.wait().code();
    let mut wrong = weft("ingress: { web: { htpp: {} } }\n").spawn();
    assert_eq!(ends(&mut wrong), Some(64), "{}", wrong.log().tail());
    // What it has said may be read after its end.
    wrong
        .log()
        .wait_for("the place", LIMIT, |line| line.contains("weft.yaml:3"));

    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let receiver = Receiver::start();
    let mut second = weft(&web(&receiver, free_port())).observe(port).spawn();
    assert_eq!(ends(&mut second), Some(69), "{}", second.log().tail());
    second
        .log()
        .wait_for("the key", LIMIT, |line| line.contains("observe.listen"));
}
