//! The router among its hostile peers: the file, the neighbours' traffic, and what is judged at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use weft_rig::{Receiver, Weft, eventually, free_port, http};

use crate::fake::{Account, Case, Fake, Manners, Then};
use crate::support::{Books, LIMIT, post};

/// Far more than an answer takes on a machine that is not busy with anything else.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// What one hostile peer may add to the log.
const LINES_MAX: usize = 40;

/// The router may hold so much at its peak, in debug builds, too.
const PEAK_MIB_MAX: u64 = 160;

/// A router, one fake for each case, and HTTP to HTTP beside them.
pub(crate) struct Arena<Stage: 'static> {
    cases: &'static [Case<Stage>],
    fakes: Vec<Fake>,
    weft: Weft,
    admin: u16,
    receiver: Receiver,
    traffic: Traffic,
    /// For events to every hostile destination.
    web: u16,
}

impl<Stage: Sync + Send + 'static> Arena<Stage> {
    /// `entry` makes the section of an ingress or destination of a fake's port.
    pub(crate) fn start(
        cases: &'static [Case<Stage>],
        manners: Manners<Stage>,
        place: &str,
        entry: fn(&Case<Stage>, u16) -> String,
    ) -> Arena<Stage> {
        let fakes: Vec<_> = cases.iter().map(|case| Fake::start(case, manners)).collect();
        let receiver = Receiver::start();
        let (web, calm, admin, url) = (free_port(), free_port(), free_port(), receiver.url(""));
        let mut entries = String::new();
        for (case, fake) in cases.iter().zip(&fakes) {
            entries += &format!("  {}: {}\n", case.name, entry(case, fake.port));
        }
        let names: Vec<_> = cases.iter().map(|case| case.name).collect();
        let names = names.join(", ");
        let (ingress, destinations, routes) = match place {
            "ingress" => (&*entries, "", format!("  in: {{ from: [{names}], to: out }}")),
            _ => ("", &*entries, format!("  out: {{ from: [web], to: [{names}] }}")),
        };
        let weft = Weft::at(env!("CARGO_BIN_EXE_weft"))
            .arg("--no-watch")
            .config(&format!(
                r#"
observe: {{ listen: "${{OBSERVE}}" }}
admin: {{ listen: "127.0.0.1:{admin}" }}
ingress:
  web: {{ http: {{ listen: "127.0.0.1:{web}" }} }}
  calm: {{ http: {{ listen: "127.0.0.1:{calm}" }} }}
{ingress}
destinations:
  out: {{ http: {{ url: "{url}/out" }} }}
  calm: {{ http: {{ url: "{url}/calm" }} }}
{destinations}
routes:
  calm: {{ from: [calm], to: calm }}
{routes}
"#
            ));
        // Not `start`: an ingress whose broker is hostile is not ready, and need not be.
        let weft = weft.spawn();
        eventually("the router's first answer", LIMIT, || {
            http::get(weft.observe_port(), "/healthz")
                .ok()
                .filter(|answer| answer.status == 200)
        });
        Arena {
            cases,
            fakes,
            weft,
            admin,
            receiver,
            traffic: Traffic::start(calm),
            web,
        }
    }

    /// Waits until every fake has been hostile as often as it wants.
    #[track_caller]
    fn wait_said(&self, times: usize) {
        for (case, fake) in self.cases.iter().zip(&self.fakes) {
            let all = if case.then.may_live() {
                1
            } else {
                case.then.visits()
            };
            let times = times.min(all);
            self.wait(case.name, "hostile visits", || {
                Account::get(&fake.account.said) >= times
            });
        }
    }

    #[track_caller]
    fn wait(&self, name: &str, what: &str, mut done: impl FnMut() -> bool) {
        let end = Instant::now() + LIMIT;
        eventually(&format!("{name}: {what}"), LIMIT * 2, || {
            assert!(
                Instant::now() < end,
                "{name}: no {what}; status: {}\n{}",
                self.last_errors().get(name).map_or("", String::as_str),
                self.weft.log().tail()
            );
            done().then_some(())
        });
    }

    /// What `weft status` has to say of each ingress and destination.
    fn last_errors(&self) -> BTreeMap<String, String> {
        let status: Value = serde_json::from_slice(&http::get(self.admin, "/status").unwrap().body).unwrap();
        let all = ["ingress", "destinations"]
            .into_iter()
            .filter_map(|list| status[list].as_array())
            .flatten();
        all.filter_map(|entry| {
            let line = entry["last_error"]["line"]
                .as_str()
                .or(entry["health"]["on"].as_str())?;
            Some((entry["name"].as_str()?.to_owned(), line.to_owned()))
        })
        .collect()
    }

    /// The hostility, and then a message from each fake that has come to its senses.
    pub(crate) fn judge_ingress(mut self) {
        self.wait_said(1);
        let first = self.weft.peak_mib();
        self.wait_said(usize::MAX);
        for case in self.cases {
            self.wait(case.name, "good message", || {
                let requests = self.receiver.requests();
                requests
                    .iter()
                    .any(|request| request.header("ce-id") == Some(case.name))
            });
        }
        self.judge(first);
    }

    /// The hostility, and then an event to each fake that has come to its senses.
    pub(crate) fn judge_egress(mut self) {
        let done = Arc::new(AtomicBool::new(false));
        let poster = {
            let (done, web) = (Arc::clone(&done), self.web);
            thread::spawn(move || {
                for id in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    // Answered when all destinations have it, or not at all.
                    let _ = http::post_event(web, "/", &crate::support::event(&format!("event-{id}")));
                }
            })
        };
        self.wait_said(1);
        let first = self.weft.peak_mib();
        self.wait_said(usize::MAX);
        for (case, fake) in self.cases.iter().zip(&self.fakes) {
            self.wait(case.name, "delivery", || Account::get(&fake.account.taken) > 0);
        }
        done.store(true, Ordering::Relaxed);
        self.judge(first);
        drop(self);
        poster.join().unwrap();
    }

    fn judge(&mut self, first: u64) {
        let peak = self.weft.peak_mib();
        eprintln!(
            "{} cases, {peak} MiB at the peak, {first} MiB after the first round",
            self.cases.len()
        );
        assert!(peak <= PEAK_MIB_MAX, "{peak} MiB at the peak");
        let (answers, slowest) = self.traffic.stop();
        eprintln!("{answers} neighbours were served, the slowest within {slowest:?}");
        assert!(answers > 10 && slowest < ANSWER_MAX, "{answers}, {slowest:?}");
        let all = || self.cases.iter().zip(&self.fakes);
        let taken: Vec<_> = all()
            .filter(|(case, fake)| case.then == Then::Rejects && Account::get(&fake.account.rejected) == 0)
            .map(|(case, _)| case.name)
            .collect();
        assert_eq!(taken, [""; 0], "messages that were not rejected");
        let errors = self.last_errors();
        let log = self.weft.log().all();
        for (case, fake) in all() {
            let name = case.name;
            assert_eq!(*fake.account.faults.lock().unwrap(), [""; 0], "{name}");
            if case.then.may_live() {
                continue;
            }
            let line = errors.get(name).map_or("", String::as_str);
            assert!(!line.is_empty(), "{name}: status says nothing");
            assert!(
                line.len() < 500 && !line.contains(char::is_control),
                "{name}: {line:?}"
            );
            let named = |line: &&String| {
                line.contains(&format!("={name} ")) || line.contains(&format!("=\"{name}\""))
            };
            let said: Vec<_> = log.iter().filter(named).collect();
            assert!(
                (1..LINES_MAX).contains(&said.len()),
                "{name}: {} lines of log: {said:#?}",
                said.len()
            );
            eprintln!("{name}: {line}");
        }
        assert!(self.weft.ended().is_none(), "the process lives");
        let panicked = log.iter().find(|line| line.contains("panicked"));
        assert_eq!(panicked, None);
        let books = eventually("the books at rest", LIMIT, || {
            Some(Books::of(&self.weft.metrics()))
        });
        eprintln!("{books:?}");
    }
}

/// Events from HTTP to HTTP, one after the other, until it is stopped.
struct Traffic {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(usize, Duration)>>,
}

impl Traffic {
    fn start(port: u16) -> Traffic {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            eventually("the neighbours' way in", LIMIT, || {
                http::post_event(port, "/", &crate::support::event("first")).ok()
            });
            let (mut answers, mut slowest) = (0, Duration::ZERO);
            while !stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                assert_eq!(post(port, "/", &format!("calm-{answers}")), 204);
                slowest = slowest.max(began.elapsed());
                answers += 1;
                thread::park_timeout(Duration::from_millis(5));
            }
            (answers, slowest)
        });
        Traffic {
            stop,
            thread: Some(thread),
        }
    }

    /// How many were answered 204, and the longest that one took. Panics where one was answered otherwise.
    fn stop(&mut self) -> (usize, Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}
