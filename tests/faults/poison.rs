//! Poison among good events: what cannot become an event, what is too large, what a destination refuses. All of it is in
//! the dead letter in the end, and nothing stops for it, not even over a kill.

use weft_rig::{Python, Record};

use crate::flow::{End, Flow};
use crate::ledger::Account;
use crate::run::Run;
use crate::scenario::Scenario;

/// One message of poison in front of so many events.
const EVERY: usize = 100;
/// Beyond `limits.event` as set here.
const TOO_LARGE: usize = 70 << 10;
/// Messages of poison in one strike, where a script sends them.
const DOSE: usize = 2;

/// The rows of this file.
pub(crate) fn scenarios() -> Vec<Scenario> {
    let poisoned = |fault: &str, from, to: &[End]| {
        Scenario::new(fault, Flow::new(from, to))
            .prepare(|run| run.add_dead_letter())
            .strikes(2, |run| run.kill_weft())
    };
    vec![
        poisoned("malformed records, kill -9 of Weft", End::Kafka, &[End::Http])
            .more(|topic, number| {
                let header = |record: Record| record.header("ce_specversion", "1.0").value("no event");
                dose(number)
                    .map(|()| header(Record::to(topic)))
                    .into_iter()
                    .collect()
            })
            .check(all_malformed_are_dead)
            .always(),
        poisoned("too large records, kill -9 of Weft", End::Kafka, &[End::Kafka])
            .prepare(|run| {
                run.add_dead_letter();
                run.file.sections = "limits: { memory: 64MiB, event: 64KiB }".to_owned();
            })
            .more(|topic, number| {
                let large = "x".repeat(TOO_LARGE);
                let record = |()| crate::event::record(topic, number).value(large.clone());
                dose(number).map(record).into_iter().collect()
            })
            .check(all_malformed_are_dead),
        refused(End::Kafka).always(),
        refused(End::Http),
        refused(End::Amqp),
        garbage(End::Mqtt),
        garbage(End::Amqp),
    ]
}

/// Whether poison goes in front of an event.
fn dose(number: usize) -> Option<()> {
    number.is_multiple_of(EVERY).then_some(())
}

/// A destination that refuses some events for good.
fn refused(from: End) -> Scenario {
    Scenario::new("refused events, kill -9 of Weft", Flow::new(from, &[End::Http]))
        .prepare(|run| {
            run.add_dead_letter();
            run.refuse_some();
        })
        .strikes(2, |run| run.kill_weft())
        .check(|run| {
            run.ledger.read(|account| {
                assert_eq!(account.undue, [0; 0], "in the dead letter without a refusal");
                assert_eq!(account.legs[0].dead(), run.scenario.events.div_ceil(EVERY));
            });
        })
}

/// Messages that are no events, among those that are.
fn garbage(from: End) -> Scenario {
    Scenario::new("malformed messages", Flow::new(from, &[End::Http]))
        .prepare(|run| {
            run.add_dead_letter();
            run.file.ingress_keys.push("accept: cloudevents".to_owned());
            let out = &mut run.file.destinations[0];
            *out = out.replace("url:", "timeout: 60s, url:");
        })
        .strikes(3, |run| {
            let name = run.from.name.clone();
            // Or the load would be over before the scripts have started.
            run.sink(0).hold(true);
            for _ in 0..DOSE {
                let text = run.random.u64(..).to_string();
                let script = if run.from.end == End::Mqtt {
                    Python::script("mqtt_pub.py")
                        .option("--port", run.arena.mosquitto().port())
                        .option("--topic", &name)
                        .option("--payload", text)
                } else {
                    let body = text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
                    Python::script("amqp_send.py")
                        .option("--port", run.arena.artemis().amqp_port())
                        .option("--address", &name)
                        .option("--message-id", format!("string:{text}"))
                        .option("--body", format!("binary:{body}"))
                };
                let _ = script.option("--mode", "plain").run();
            }
            run.sink(0).hold(false);
        })
        .check(|run| {
            let dead = run.ledger.read(|account| account.malformed.len());
            assert_eq!(dead, 3 * DOSE, "malformed messages in the dead letter");
        })
}

fn all_malformed_are_dead(run: &mut Run<'_>) {
    let wanted = run.scenario.events.div_ceil(EVERY);
    let all = |account: &Account| account.malformed.len() == wanted;
    let quiet = std::time::Duration::from_secs(5);
    assert!(
        run.ledger.wait(quiet, all),
        "{} of {wanted} malformed records are in the dead letter",
        run.ledger.read(|account| account.malformed.len())
    );
}

impl Run<'_> {
    /// The first destination, an HTTP one, refuses one event of every hundred for good.
    pub(crate) fn refuse_some(&mut self) {
        let ledger = std::sync::Arc::clone(&self.ledger);
        self.sink(0).respond(move |number| {
            if dose(number).is_none() {
                return 204;
            }
            ledger.diverted(0, number);
            422
        });
    }
}
