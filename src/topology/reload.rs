//! Reload: only what changed is touched (C30).
//!
//! A destination that disappears while legs are pending needs a word on what shall become of them; without it the
//! whole reload is refused and nothing changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use weft_api::outcome::Reason;

use super::leaving::{Leaving, Reading};
use super::spec::{DestinationSpec, Spec};
use super::storage::{Delivering, Parting, Storage};
use super::{Egress, STOP_GRACE, Topology};
use crate::delivery::destination::Destination;
use crate::delivery::sweep::Leftover;

/// What becomes of the legs of a destination that disappears.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Removal {
    /// They are still delivered; the destination goes when the last one has ended.
    Drain,
    /// They go to their routes' dead letters; those without one are given back.
    DeadLetter,
    /// They are dropped and counted.
    Purge,
}

/// What a reload did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Ingresses that were opened, reopened and closed.
    pub ingresses: Changes,
    /// Destinations that were made, got another client, and went.
    pub destinations: Changes,
    /// Logs that the file does not ask for any more, and how many events are delivered out of each before it goes.
    pub ending: Vec<(String, u64)>,
}

/// Names by what happened to them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// New.
    pub added: Vec<String>,
    /// With other settings.
    pub changed: Vec<String>,
    /// Gone.
    pub removed: Vec<String>,
}

impl Topology {
    /// Brings what runs into line with `spec`, or changes nothing.
    ///
    /// # Errors
    /// One line for an operator: what could not be built, or which destination needs a word in `removed:`.
    pub async fn reload(
        &mut self,
        spec: Spec,
        removed: &BTreeMap<String, Removal>,
    ) -> Result<Report, String> {
        Storage::check(self.storage.as_ref(), &spec)?;
        let mut report = self.compare(&spec);
        let ending = self
            .storage
            .as_ref()
            .map(|storage| storage.delivered_first(&spec));
        let delivered = |name: &str| removed.get(name) != Some(&Removal::Purge);
        report.ending = ending.unwrap_or_default();
        report.ending.retain(|(name, _)| delivered(name));
        let leaving = self
            .storage
            .as_ref()
            .map(|storage| storage.leaving(&spec))
            .unwrap_or_default();
        self.check_removed(&spec, &report, &leaving, removed)?;
        let returning: Vec<Arc<str>> = spec
            .ingresses
            .iter()
            .map(|ingress| Arc::clone(&ingress.name))
            .collect();
        self.apply(spec)?;
        self.look_after_orphans(removed);
        if let Some(storage) = &self.storage {
            let gone = report.destinations.removed.iter().map(String::as_str);
            for name in gone.chain(leaving.iter().map(|log| &*log.name)) {
                if removed.get(name) == Some(&Removal::Purge) {
                    storage.purge(name);
                }
            }
        }
        self.leaving.retain(|reader| !reader.is_over());
        let back = |reader: &mut Leaving| returning.contains(&reader.name);
        for reader in self.leaving.extract_if(.., back).collect::<Vec<_>>() {
            reader.end().await;
        }
        // Each reader that leaves hears when its writer is closed.
        let mut writers: HashMap<String, oneshot::Sender<()>> = HashMap::new();
        for name in &report.ingresses.removed {
            let Some(ingress) = self.ingresses.remove(name.as_str()) else {
                continue;
            };
            let (board, metrics) = (Arc::clone(&self.board), Arc::clone(&self.metrics));
            let (post, of) = (Arc::clone(&ingress.post), name.clone());
            let gone = move || {
                if board.remove_ingress(&post) {
                    metrics.forget_ingress(&of);
                }
            };
            if ingress.log.is_some() {
                let (writer, closed) = oneshot::channel();
                writers.insert(name.clone(), writer);
                self.leaving
                    .push(Leaving::start(name.as_str().into(), ingress, closed, gone));
            } else {
                ingress.running.stop(STOP_GRACE).await;
                gone();
            }
        }
        for name in &report.destinations.removed {
            if let Some(egress) = self.destinations.remove(name.as_str()) {
                let how = removed.get(name).copied().unwrap_or(Removal::Drain);
                let (board, metrics) = (Arc::clone(&self.board), Arc::clone(&self.metrics));
                let gone = Arc::clone(&egress.destination);
                let is_log = gone.settings().shared_log.is_some();
                let coming = Coming {
                    logs: self.storage.as_ref().map(Storage::delivering).unwrap_or_default(),
                    // A writer that waited for readers would be waited for by its own.
                    readers: self
                        .leaving
                        .iter()
                        .filter(|_| !is_log)
                        .map(|reader| Arc::clone(&reader.reading))
                        .collect(),
                };
                let closed = writers.remove(name);
                let name = name.clone();
                self.retiring.retain(|task| !task.is_finished());
                self.retiring.push(tokio::spawn(async move {
                    retire(egress, &coming, how, closed).await;
                    // A later reload may have made another of the same name, which counts in the same series.
                    if board.remove_destination(&gone) {
                        metrics.forget_destination(&name);
                    }
                }));
            }
        }
        Ok(report)
    }

    /// Looks after logs that the start found and whose destinations are not in the file: does what `removed` says, if it can
    /// be done without them, and tells of the others.
    pub fn look_after_orphans(&mut self, removed: &BTreeMap<String, Removal>) {
        if let Some(storage) = &mut self.storage {
            storage.look_after_orphans(removed);
        }
    }

    /// Whether there is a word on everything that goes and is not empty.
    fn check_removed(
        &self,
        spec: &Spec,
        report: &Report,
        leaving: &[Parting],
        removed: &BTreeMap<String, Removal>,
    ) -> Result<(), String> {
        let mut readers = report.ingresses.removed.iter();
        readers.try_for_each(|name| self.check_reader(name, spec, removed))?;
        let groups: Vec<&str> = group_names(spec);
        for name in &report.destinations.removed {
            let pending = self.pending(name);
            // A log that routers share takes what is on its way into it; nobody needs to say so.
            let log = self
                .destination(name)
                .is_some_and(|known| known.settings().shared_log.is_some());
            if pending > 0 && !log && !removed.contains_key(name) {
                return Err(match groups.contains(&name.as_str()) {
                    // A word would be for the log of the group as well, which has the name now.
                    true => format!(
                        "destination {name}, which is now a group, still has {pending} pending events: take it away in one \
                         reload (removed: {{ {name}: drain }}), and add the group in the next"
                    ),
                    false => format!(
                        "destination {name} still has {pending} pending events: say what shall become of them \
                         (removed: {{ {name}: drain | dead_letter | purge }}), or keep it until they are delivered"
                    ),
                });
            }
        }
        for Parting { name, pending, .. } in leaving.iter().filter(|log| log.is_news) {
            let is_group = !self.destinations.contains_key(name);
            match removed.get(&**name) {
                Some(Removal::Drain | Removal::Purge) => {}
                _ if is_group => {
                    return Err(format!(
                        "the log of group {name} still has {pending} events: say what shall become of them \
                         (removed: {{ {name}: drain | purge }}), or keep it until they are delivered"
                    ));
                }
                // Told above where there is no word.
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether there is a word on what is left in a shared log that is read here no more. It is in the topic, and so can
    /// only be delivered.
    fn check_reader(
        &self,
        name: &str,
        spec: &Spec,
        removed: &BTreeMap<String, Removal>,
    ) -> Result<(), String> {
        let Some((ingress, log)) = self
            .ingresses
            .get(name)
            .and_then(|ingress| Some((ingress, ingress.log.as_ref()?)))
        else {
            return Ok(());
        };
        let left = match ingress.post.lag_now() {
            Some(lag) => match lag.max(ingress.unsettled()) {
                0 => return Ok(()),
                left => format!("still has {left} events for this router"),
            },
            None => "has not told yet how many events it has for this router".to_owned(),
        };
        let of = &log.of;
        match removed.get(name).or_else(|| removed.get(&**of)) {
            Some(Removal::Drain) => Ok(()),
            Some(Removal::DeadLetter | Removal::Purge) => Err(format!(
                "the log of {of} in Kafka {left}, which no router can take out of its topic: say `drain`, or wait until \
                 weft_ingress_lag_events{{ingress=\"{name}\"}} is 0"
            )),
            None if names(spec).any(|known| known == of) => Err(format!(
                "the log of {of} in Kafka {left}, and what comes would go past it: stop what comes in, and wait until \
                 weft_ingress_lag_events{{ingress=\"{name}\"}} is 0, or give up their order by key \
                 (removed: {{ {name}: drain }})"
            )),
            None => Err(format!(
                "the log of {of} in Kafka {left}: have them delivered first (removed: {{ {of}: drain }}), or keep it until \
                 they are"
            )),
        }
    }

    /// What waits for a destination, or is on its way to it, its log included.
    fn pending(&self, name: &str) -> u64 {
        let queued = self
            .destination(name)
            .map_or(0, |destination| destination.pending_events());
        let stored = self.storage.as_ref().and_then(|storage| storage.queue(name));
        // What came out of the log is in both.
        queued.max(stored.map_or(0, |log| log.pending()))
    }

    /// What `spec` would change.
    #[must_use]
    pub fn compare(&self, spec: &Spec) -> Report {
        let ingresses = self
            .ingresses
            .iter()
            .map(|(name, ingress)| (&**name, ingress.fingerprint.as_str()));
        let destinations = self
            .destinations
            .iter()
            .map(|(name, egress)| (&**name, egress.fingerprint.as_str()));
        between(
            &Prints {
                ingresses: ingresses.collect(),
                destinations: destinations.collect(),
            },
            &Prints::of(spec),
        )
    }
}

/// What a reload from `old` to `new` touches: what [`Topology::reload`] reports, with nothing living.
#[must_use]
pub fn compare(old: &Spec, new: &Spec) -> Report {
    between(&Prints::of(old), &Prints::of(new))
}

/// Names and fingerprints.
struct Prints<'a> {
    ingresses: BTreeMap<&'a str, &'a str>,
    destinations: BTreeMap<&'a str, &'a str>,
}

impl<'a> Prints<'a> {
    fn of(spec: &'a Spec) -> Prints<'a> {
        let ingresses = spec
            .ingresses
            .iter()
            .map(|ingress| (&*ingress.name, ingress.fingerprint.as_str()));
        let destinations = spec
            .endpoints()
            .map(|endpoint| (&*endpoint.name, endpoint.fingerprint.as_str()));
        Prints {
            ingresses: ingresses.collect(),
            destinations: destinations.collect(),
        }
    }
}

fn between(known: &Prints<'_>, wanted: &Prints<'_>) -> Report {
    Report {
        ingresses: changes(&known.ingresses, &wanted.ingresses),
        destinations: changes(&known.destinations, &wanted.destinations),
        ending: Vec::new(),
    }
}

/// From where legs may still come to a destination that goes: out of logs, which go on in the wiring that they had.
struct Coming {
    logs: Vec<Delivering>,
    readers: Vec<Arc<Reading>>,
}

impl Coming {
    fn more(&self, destination: &Arc<Destination>) -> bool {
        self.logs.iter().any(|log| log.may_come_to(destination))
            || self.readers.iter().any(|reader| reader.may_come_to(destination))
    }
}

/// `closed` hears when nothing is sent any more.
async fn retire(egress: Egress, coming: &Coming, how: Removal, closed: Option<oneshot::Sender<()>>) {
    const POLL: Duration = Duration::from_millis(50);
    let Egress {
        destination, running, ..
    } = egress;
    // Legs may still come, from plans that were made before the reload; they go the same way.
    match how {
        Removal::Drain => {
            while destination.pending_events() > 0 || coming.more(&destination) {
                tokio::time::sleep(POLL).await;
                destination.sweep();
            }
            destination.close(Leftover::GiveBack(Reason::Removed));
        }
        Removal::DeadLetter => destination.close(Leftover::DeadLetter),
        Removal::Purge => destination.close(Leftover::Drop),
    }
    while coming.more(&destination) {
        tokio::time::sleep(POLL).await;
    }
    running.stop(STOP_GRACE).await;
    drop(closed);
}

fn changes(known: &BTreeMap<&str, &str>, wanted: &BTreeMap<&str, &str>) -> Changes {
    let names = |pick: &dyn Fn(&str) -> bool, from: &BTreeMap<&str, &str>| -> Vec<String> {
        from.keys()
            .filter(|name| pick(name))
            .map(ToString::to_string)
            .collect()
    };
    Changes {
        added: names(&|name| !known.contains_key(name), wanted),
        changed: names(
            &|name| {
                known
                    .get(name)
                    .is_some_and(|fingerprint| *fingerprint != wanted[name])
            },
            wanted,
        ),
        removed: names(&|name| !wanted.contains_key(name), known),
    }
}

/// Destinations and groups.
fn names(spec: &Spec) -> impl Iterator<Item = &Arc<str>> {
    spec.destinations.iter().map(|destination| match destination {
        DestinationSpec::Endpoint(endpoint) => &endpoint.name,
        DestinationSpec::Group { name, .. } => name,
    })
}

fn group_names(spec: &Spec) -> Vec<&str> {
    let groups = spec
        .destinations
        .iter()
        .filter_map(|destination| match destination {
            DestinationSpec::Group { name, .. } => Some(&**name),
            DestinationSpec::Endpoint(_) => None,
        });
    groups.collect()
}
