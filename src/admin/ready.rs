//! `GET /readyz`: recovered and listening. `?destinations=all` asks the destinations, too.
//!
//! Ready does not mean that every destination is up: a mesh router whose readiness followed its remotes would leave
//! the cluster together with the first of them. Those who want that ask for it.

use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::Source;
use super::answer::Answer;

/// How long the answer of a probe counts: more often than this no destination is asked, whoever comes.
const PROBES_KEPT: Duration = Duration::from_secs(5);

/// Longest time that one round of probes may take.
const PROBES_MAX: Duration = Duration::from_secs(5);

/// Whether the router can do its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Recovered and listening.
    Ready,
    /// Not yet, or not any more; one line each on what is missing ("ingress web: not listening yet").
    NotReady(Vec<String>),
}

/// What a destination said when it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// Its name.
    pub destination: String,
    /// Why it would not take events now.
    pub error: Option<String>,
}

/// The last round of probes; the lock makes all who ask at once wait for one and the same round.
#[derive(Default)]
pub(super) struct ProbeCache(Mutex<Option<(Instant, Vec<String>)>>);

impl ProbeCache {
    /// One line for each destination that would not take events.
    async fn failing(&self, source: &dyn Source) -> Vec<String> {
        let mut last = self.0.lock().await;
        if let Some((at, failing)) = &*last
            && at.elapsed() < PROBES_KEPT
        {
            return failing.clone();
        }
        let failing = match timeout(PROBES_MAX, source.probe_destinations()).await {
            Ok(probes) => probes.into_iter().filter_map(line).collect(),
            Err(_) => vec![format!(
                "destinations: no answer within {} s",
                PROBES_MAX.as_secs()
            )],
        };
        *last = Some((Instant::now(), failing.clone()));
        failing
    }
}

fn line(probe: Probe) -> Option<String> {
    probe
        .error
        .map(|error| format!("destination {}: {error}", probe.destination))
}

pub(super) async fn answer(source: &dyn Source, probes: &ProbeCache, query: &str) -> Answer {
    let destinations = match query {
        "" => false,
        "destinations=all" => true,
        _ => return Answer::text(StatusCode::BAD_REQUEST, "the only query is ?destinations=all\n"),
    };
    let (ready, mut missing) = match source.readiness() {
        Readiness::Ready => (true, Vec::new()),
        Readiness::NotReady(missing) => (false, missing),
    };
    if destinations {
        missing.extend(probes.failing(source).await);
    }
    if ready && missing.is_empty() {
        return Answer::text(StatusCode::OK, "ready\n");
    }
    missing.insert(0, "not ready".to_owned());
    Answer::text(StatusCode::SERVICE_UNAVAILABLE, missing.join("\n") + "\n")
}
