//! One clear line where librdkafka would say the same a hundred times.
//!
//! Owns: what is known to be wrong with which broker, and whether an operator has heard of it.
//! Invariants: an outage is said once when it begins and once when it ends, however often librdkafka repeats it; a
//! single broker that is down while others serve is a warning, and only all of them down is `Waiting`.
//! Does not know: what the client is for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use weft_api::status::{Health, Reporter};

/// How long a broker may fail before it is worth a line; a reconnect takes less.
const GRACE: Duration = Duration::from_secs(2);
/// How often the same kind of warning is passed on.
const REPEAT: Duration = Duration::from_secs(60);
/// Most brokers and kinds of warning that are remembered.
const REMEMBERED_MAX: usize = 256;

/// Listens to librdkafka and speaks to the router.
pub(crate) struct Voice {
    remote: String,
    report: Reporter,
    waiting: AtomicBool,
    fatal: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    failing: BTreeMap<String, Failing>,
    /// Brokers that were connected when the statistics were made, and have not failed since.
    up: HashSet<String>,
    warned: HashMap<String, Instant>,
    fatal: Option<String>,
}

struct Failing {
    reason: String,
    since: Instant,
    said: bool,
}

impl Voice {
    /// Speaks about `remote` (the brokers as the file names them) to `report`.
    pub(crate) fn new(remote: String, report: Reporter) -> Voice {
        Voice {
            remote,
            report,
            waiting: AtomicBool::new(false),
            fatal: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// A line of librdkafka's log.
    pub(crate) fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(remote = %self.remote, facility, line, "librdkafka");
        match facility {
            "FAIL" | "ERROR" => self.failed(line),
            // librdkafka's own opinion of settings that we chose.
            "CONFWARN" => {}
            // A broker that has just come up: it passes by itself, within a second.
            _ if line.contains("Coordinator load in progress") => {}
            _ if (level as u8) <= (RDKafkaLogLevel::Warning as u8) => self.warn(facility, line),
            _ => {}
        }
    }

    /// An error that concerns the whole client.
    pub(crate) fn error(&self, error: &KafkaError, reason: &str) {
        tracing::debug!(remote = %self.remote, %error, reason, "librdkafka error");
        let code = match error {
            KafkaError::Global(code) | KafkaError::MessageConsumptionFatal(code) => *code,
            other => other.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown),
        };
        match code {
            RDKafkaErrorCode::AllBrokersDown => self.all_down(),
            RDKafkaErrorCode::Fatal => self.doom(reason),
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::OperationTimedOut => self.failed(reason),
            _ => self.warn(&format!("{code:?}"), reason),
        }
    }

    /// The statistics say which brokers are connected.
    pub(crate) fn stats(&self, stats: &Statistics) {
        let up = stats.brokers.values().filter(|broker| broker.state == "UP");
        let up: HashSet<String> = up.map(|broker| broker_name(&broker.name)).collect();
        for broker in &up {
            self.back(broker);
        }
        if !up.is_empty() {
            self.alive();
        }
        self.state().up = up;
    }

    /// Something came back from a broker: cheap enough for every record.
    pub(crate) fn alive(&self) {
        if self.waiting.load(Ordering::Relaxed) && self.waiting.swap(false, Ordering::AcqRel) {
            self.state().failing.clear();
            tracing::info!(remote = %self.remote, "kafka answers again");
            self.report.health(Health::Ready);
        }
    }

    /// Whether no broker at all answers.
    pub(crate) fn waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Says what has been wrong for longer than a reconnect takes.
    pub(crate) fn tick(&self) {
        if self.waiting.load(Ordering::Relaxed) {
            return;
        }
        let mut guard = self.state();
        let state = &mut *guard;
        let overdue = |failing: &Failing| !failing.said && failing.since.elapsed() > GRACE;
        if state.up.is_empty() {
            if state.failing.values().any(overdue) {
                drop(guard);
                self.all_down();
            }
            return;
        }
        for (broker, failing) in &mut state.failing {
            if overdue(failing) {
                failing.said = true;
                self.report
                    .warn(format!("kafka {broker} {}; trying again", failing.reason));
            }
        }
    }

    /// Something that an operator should read.
    pub(crate) fn say(&self, line: &str) {
        self.warn("said", line);
    }

    /// What is wrong now, for an error's text; `None` if nothing is known to be wrong.
    pub(crate) fn trouble(&self) -> Option<String> {
        let state = self.state();
        (!state.failing.is_empty()).then(|| describe(&state.failing))
    }

    /// The client is beyond repair: why. It must be made anew.
    pub(crate) fn fatal(&self) -> Option<String> {
        if self.fatal.load(Ordering::Acquire) {
            self.state().fatal.clone()
        } else {
            None
        }
    }

    /// The client is beyond repair.
    pub(crate) fn doom(&self, why: &str) {
        self.state().fatal.get_or_insert_with(|| plain(why).to_string());
        self.fatal.store(true, Ordering::Release);
    }

    fn failed(&self, line: &str) {
        let Some((broker, reason)) = failure(line) else {
            return;
        };
        let mut state = self.state();
        state.up.remove(&broker);
        if state.failing.len() >= REMEMBERED_MAX {
            return;
        }
        let entry = state.failing.entry(broker).or_insert_with(|| Failing {
            reason: String::new(),
            since: Instant::now(),
            said: false,
        });
        entry.reason = reason;
    }

    fn back(&self, broker: &str) {
        if let Some(failing) = self.state().failing.remove(broker)
            && failing.said
        {
            tracing::info!(broker, "kafka broker answers again");
        }
    }

    /// No broker answers: said once, until one does.
    pub(crate) fn all_down(&self) {
        let text = {
            let mut state = self.state();
            for failing in state.failing.values_mut() {
                failing.said = true;
            }
            if state.failing.is_empty() {
                "no broker answers".to_string()
            } else {
                describe(&state.failing)
            }
        };
        if !self.waiting.swap(true, Ordering::AcqRel) {
            self.report
                .health(Health::Waiting(format!("kafka {text}; trying again")));
        }
    }

    fn warn(&self, kind: &str, line: &str) {
        let mut state = self.state();
        let now = Instant::now();
        if state
            .warned
            .get(kind)
            .is_some_and(|at| now.duration_since(*at) < REPEAT)
        {
            return;
        }
        if state.warned.len() < REMEMBERED_MAX {
            state.warned.insert(kind.to_string(), now);
        }
        drop(state);
        self.report
            .warn(format!("kafka {}: {}", self.remote, plain(line)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while it was held leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn describe(failing: &BTreeMap<String, Failing>) -> String {
    failing
        .iter()
        .map(|(broker, f)| format!("{broker} {}", f.reason))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A line without librdkafka's thread and the remarks that change every time.
fn plain(line: &str) -> &str {
    let line = match line
        .strip_prefix("[thrd:")
        .and_then(|rest| rest.split_once("]: "))
    {
        Some((_, rest)) => rest,
        None => line,
    };
    line.split(" (after ").next().unwrap_or(line).trim()
}

/// The broker and what is wrong with it, out of a line such as
/// `[thrd:ssl://k:1/bootstrap]: ssl://k:1/bootstrap: Connect to ipv4#10.0.0.1:1 failed: Connection refused (after 0ms)`.
fn failure(line: &str) -> Option<(String, String)> {
    let (name, reason) = plain(line).split_once(": ")?;
    if reason.contains("Disconnected") {
        // A broker closes idle connections. If there is more to it, connecting again will fail, and say so.
        return None;
    }
    let known = [
        ("Connection refused", "refused the connection"),
        ("Broken pipe", "closed the connection"),
        ("Connection reset", "reset the connection"),
        ("timed out", "does not answer"),
        ("Network is unreachable", "cannot be reached"),
        ("No route to host", "cannot be reached"),
    ];
    let reason = match known.iter().find(|(theirs, _)| reason.contains(theirs)) {
        Some((_, ours)) => (*ours).to_string(),
        None => format!("fails: {reason}"),
    };
    Some((broker_name(name), reason))
}

/// `ssl://kafka:9093/bootstrap` -> `kafka:9093`.
fn broker_name(name: &str) -> String {
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    name.split('/').next().unwrap_or(name).to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use weft_api::status::Report;

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Report for Heard {
        fn health(&self, health: Health) {
            self.0.lock().unwrap().push(format!("{health:?}"));
        }
        fn lag(&self, _: Option<u64>) {}
        fn dropped(&self, _: &'static str, _: u64) {}
        fn warn(&self, line: String) {
            self.0.lock().unwrap().push(line);
        }
    }

    const REFUSED: &str = "[thrd:127.0.0.1:1/bootstrap]: 127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: \
                           Connection refused (after 0ms in state CONNECT)";

    #[test]
    fn an_outage_is_said_once_and_its_end_once() {
        let heard = Arc::new(Heard::default());
        let voice = Voice::new("127.0.0.1:1".into(), heard.clone());
        for _ in 0..100 {
            voice.log(RDKafkaLogLevel::Error, "FAIL", REFUSED);
            voice.error(
                &KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
                "1/1 brokers are down",
            );
            voice.tick();
        }
        voice.alive();
        voice.alive();
        let heard = heard.0.lock().unwrap();
        assert_eq!(
            *heard,
            [
                "Waiting(\"kafka 127.0.0.1:1 refused the connection; trying again\")",
                "Ready"
            ]
        );
    }

    #[test]
    fn a_warning_of_one_kind_is_passed_on_once_a_minute() {
        let heard = Arc::new(Heard::default());
        let voice = Voice::new("k:1".into(), heard.clone());
        for _ in 0..10 {
            voice.log(
                RDKafkaLogLevel::Warning,
                "GETPID",
                "[thrd:main]: Failed to acquire idempotence PID: not allowed",
            );
        }
        assert_eq!(
            *heard.0.lock().unwrap(),
            ["kafka k:1: Failed to acquire idempotence PID: not allowed"]
        );
    }

    #[test]
    fn a_broker_is_named_as_the_file_names_it() {
        let line = "[thrd:sasl_ssl://kafka:9093/bootstrap]: sasl_ssl://kafka:9093/bootstrap: SASL authentication \
                    error: wrong password (after 3ms in state AUTH_REQ)";
        let (broker, reason) = failure(line).unwrap();
        assert_eq!(broker, "kafka:9093");
        assert_eq!(reason, "fails: SASL authentication error: wrong password");
    }

    #[test]
    fn a_fatal_error_is_remembered() {
        let voice = Voice::new("k:1".into(), Arc::new(weft_api::status::Silent));
        assert!(voice.fatal().is_none());
        voice.error(&KafkaError::Global(RDKafkaErrorCode::Fatal), "gap");
        assert_eq!(voice.fatal().as_deref(), Some("gap"));
    }
}
