//! `check --connect`: asks every remote whether it can be reached with the given credentials.

use std::time::Duration;

use tokio::time::timeout;
use weft_api::egress::Egress;
use weft_api::ingress::Ingress;

/// Longest wait for one remote; all are asked at once.
const PROBE_MAX: Duration = Duration::from_secs(10);

/// Something with a remote.
pub(super) enum End {
    /// An ingress.
    Ingress(Box<dyn Ingress>),
    /// A destination's egress.
    Egress(Box<dyn Egress>),
}

/// What is asked, by the name that the answer is shown under (`ingress web`).
pub(super) struct Ask {
    pub(super) name: String,
    pub(super) address: String,
    /// An error where the client library would not take the settings.
    pub(super) end: Result<End, String>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) name: String,
    pub(super) address: String,
    pub(super) error: Option<String>,
    /// What is not as it should be, where it can be reached.
    pub(super) warning: Option<String>,
}

/// Asks all at once; answers in the order of the questions.
pub(super) async fn ask(asks: Vec<Ask>) -> Vec<Answer> {
    let running: Vec<_> = asks
        .into_iter()
        .map(|ask| (ask.name, ask.address, tokio::spawn(probe(ask.end))))
        .collect();
    let mut answers = Vec::new();
    for (name, address, task) in running {
        let error = match task.await {
            Ok(answer) => answer.err(),
            Err(panic) => Some(format!("the connector failed: {panic}")),
        };
        answers.push(Answer {
            name,
            address,
            error,
            warning: None,
        });
    }
    answers
}

async fn probe(end: Result<End, String>) -> Result<(), String> {
    let asked = async {
        match end? {
            End::Ingress(ingress) => ingress.probe().await.map_err(|error| error.to_string()),
            End::Egress(egress) => egress.probe().await.map_err(|error| error.to_string()),
        }
    };
    match timeout(PROBE_MAX, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(format!("no answer within {} s", PROBE_MAX.as_secs())),
    }
}
