//! A topology with a store: stops, starts and reloads with something in its logs. Real time: the store has its own.

use std::path::PathBuf;

use super::*;
use crate::delivery::leg::{Leg, NO_ROUTE};
use crate::delivery::origin::{LanePort, Origin};
use crate::testing::{first, refused};
use crate::topology::spec::{LogSpec, PlanSpec, StoreSpec, WhenFull};

/// Removed when it is dropped.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Dir {
        Dir(std::env::temp_dir().join(format!("weft-topology-{name}-{}", std::process::id())))
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn log() -> LogSpec {
    LogSpec {
        max_bytes: 16 << 20,
        max_age: None,
        retain: None,
        when_full: WhenFull::Block,
    }
}

/// The spec with a store, and logs for these.
fn stored(mut spec: Spec, dir: &Dir, logs: &[&str]) -> Spec {
    spec.store = Some(StoreSpec {
        path: dir.0.clone(),
        max_bytes: 64 << 20,
        keep_free: 0,
        sync: weft_store::Sync::Always,
        dead_letters: log(),
    });
    for destination in &mut spec.destinations {
        match destination {
            DestinationSpec::Endpoint(endpoint) if logs.contains(&&*endpoint.name) => {
                endpoint.store = Some(log());
            }
            DestinationSpec::Group { name, store, .. } if logs.contains(&&**name) => *store = Some(log()),
            _ => {}
        }
    }
    spec
}

fn group(mut spec: Spec, name: &str, plan: PlanSpec) -> Spec {
    spec.destinations.push(DestinationSpec::Group {
        name: name.into(),
        plan,
        store: None,
        shared: None,
    });
    spec
}

fn pending(topology: &Topology, name: &str) -> u64 {
    topology.storage.as_ref().unwrap().queue(name).unwrap().pending()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..6000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to this: {what}");
}

/// Ends, and a topology whose destination takes nothing, with `events` in the log of `name`.
async fn with_backlog(ends: &mut Ends, spec: Spec, events: u32) -> Topology {
    let topology = ends.start(spec);
    for number in 0..events {
        assert_eq!(ends.deliver(&number.to_string()).await, Outcome::Accepted);
    }
    topology
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// C24, C29: a stop waits for no backlog, and the next start delivers it.
#[tokio::test]
async fn a_backlog_outlives_a_stop_and_is_delivered_after_the_next_start() {
    let (dir, mut ends) = (Dir::new("stop"), Ends::new());
    ends.open.send_replace(false);
    let topology = {
        let spec = stored(ends.spec(&["a"], "a"), &dir, &["a"]);
        with_backlog(&mut ends, spec, 20).await
    };
    let left = topology
        .drain(Instant::now() + Duration::from_secs(60), |_| {})
        .await;
    assert_eq!(left, 0);
    topology.stop().await;
    assert_eq!(ends.got(), [""; 0]);

    ends.open.send_replace(true);
    let topology = ends.start(stored(ends.spec(&["a"], "a"), &dir, &["a"]));
    until("all are delivered", || pending(&topology, "a") == 0).await;
    topology.stop().await;
    assert_eq!(ends.got(), numbers(0..20));
}

#[tokio::test]
async fn a_destination_with_a_backlog_goes_only_with_a_word_and_is_drained_first() {
    let (dir, mut ends) = (Dir::new("drain"), Ends::new());
    ends.open.send_replace(false);
    let spec = |ends: &Ends, names: &[&str], to: &str| stored(ends.spec(names, to), &dir, &["a"]);
    let mut topology = {
        let spec = spec(&ends, &["a", "b"], "a");
        with_backlog(&mut ends, spec, 20).await
    };
    let refused = topology
        .reload(spec(&ends, &["b"], "b"), &words(&[]))
        .await
        .unwrap_err();
    assert!(
        refused.contains("destination a still has 20 pending events"),
        "{refused}"
    );
    let drain = words(&[("a", Removal::Drain)]);
    let report = topology.reload(spec(&ends, &["b"], "b"), &drain).await.unwrap();
    assert_eq!(
        report.ending,
        [("a".to_owned(), 20)],
        "an operator hears what is waited for"
    );
    ends.open.send_replace(true);
    until("all are delivered", || pending(&topology, "a") == 0).await;
    topology.stop().await;
    assert_eq!(ends.got(), numbers(0..20));
}

/// C30: a later reload, which has no reason to speak of it, is not refused because of what still waits there.
#[tokio::test]
async fn a_backlog_whose_place_is_gone_is_asked_about_once() {
    let (dir, mut ends) = (Dir::new("once"), Ends::new());
    ends.open.send_replace(false);
    let spec = |ends: &Ends, names: &[&str], to: &str| stored(ends.spec(names, to), &dir, &["a"]);
    let mut topology = {
        let spec = spec(&ends, &["a", "b"], "a");
        with_backlog(&mut ends, spec, 20).await
    };
    let away = words(&[("a", Removal::DeadLetter)]);
    topology.reload(spec(&ends, &["b"], "b"), &away).await.unwrap();
    // The same file again, and one that says nothing more of it.
    topology.reload(spec(&ends, &["b"], "b"), &away).await.unwrap();
    topology
        .reload(spec(&ends, &["b"], "b"), &words(&[]))
        .await
        .unwrap();
    ends.open.send_replace(true);
    topology.stop().await;
}

#[tokio::test]
async fn a_purged_backlog_is_dropped_and_counted() {
    let (dir, mut ends) = (Dir::new("purge"), Ends::new());
    ends.open.send_replace(false);
    let spec = |ends: &Ends, names: &[&str], to: &str| stored(ends.spec(names, to), &dir, &["a"]);
    let mut topology = {
        let spec = spec(&ends, &["a", "b"], "a");
        with_backlog(&mut ends, spec, 20).await
    };
    let queue = Arc::clone(topology.storage.as_ref().unwrap().queue("a").unwrap());
    let purge = words(&[("a", Removal::Purge)]);
    let report = topology.reload(spec(&ends, &["b"], "b"), &purge).await.unwrap();
    assert_eq!(report.ending, []);
    // What is in flight has its answer.
    ends.open.send_replace(true);
    until("nothing is left", || queue.pending() == 0).await;
    topology.stop().await;
    let books = &queue.metrics.lane.books;
    assert!(books.dropped.get() >= 10, "most of it was waiting");
    assert_eq!(books.dropped.get() + books.delivered.get(), 20);
    assert_eq!(ends.got().len() as u64, books.delivered.get());
}

/// Nothing of it would ever be told of it: a purge takes what it cannot read.
#[tokio::test]
async fn a_purge_takes_what_a_later_version_wrote() {
    let (dir, mut ends) = (Dir::new("later"), Ends::new());
    let spec = |ends: &Ends, names: &[&str], to: &str| stored(ends.spec(names, to), &dir, &["a"]);
    let mut topology = ends.start(spec(&ends, &["a", "b"], "a"));
    let queue = Arc::clone(topology.storage.as_ref().unwrap().queue("a").unwrap());
    let ingress = topology.ingresses.values().next().unwrap();
    let lane = LanePort::new(Arc::clone(&ingress.port), "none".into(), 0, 1, true);
    let origin = Origin::Slot {
        lane: Arc::new(lane),
        epoch: 2,
        seq: 0,
    };
    let wiring = Arc::clone(&ingress.gate.load().wiring);
    let leg = Leg::new(event("later"), origin, wiring, NO_ROUTE, Instant::now());
    let appended = queue
        .log
        .append(&[&[250]], (leg, weft_store::Claim::New), 1, |_| true);
    assert!(appended.is_ok());
    // What is behind it in the log has come out: it was passed.
    assert_eq!(ends.deliver("1").await, Outcome::Accepted);
    until("it alone is left", || ends.got() == ["1"] && queue.pending() == 1).await;
    let purge = words(&[("a", Removal::Purge)]);
    topology.reload(spec(&ends, &["b"], "b"), &purge).await.unwrap();
    until("nothing is left", || queue.pending() == 0).await;
    assert_eq!(queue.metrics.purged.get(), 1);
    topology.stop().await;
}

/// A word for the name would be for the log of the group, too, and `check` takes none for what is in the file.
#[tokio::test(start_paused = true)]
async fn a_destination_that_becomes_a_group_is_told_to_go_first() {
    let mut ends = Ends::new();
    let mut topology = ends.start(ends.spec(&["a", "b"], "a"));
    ends.hang(&topology, "1").await;
    let regrouped = group(ends.spec(&["b"], "a"), "a", first(vec![to("b")]));
    let refused = topology.reload(regrouped, &words(&[])).await.unwrap_err();
    assert!(
        refused.contains("in one reload (removed: { a: drain }), and add the group in the next"),
        "{refused}"
    );
    ends.open.send_replace(true);
    topology.stop().await;
}

/// Twenty events in the log of a destination that the file of the next start does not have.
async fn with_orphan(dir: &Dir) -> (Ends, Topology) {
    let mut ends = Ends::new();
    ends.open.send_replace(false);
    let spec = stored(ends.spec(&["a", "b"], "a"), dir, &["a"]);
    let topology = with_backlog(&mut ends, spec, 20).await;
    topology.stop().await;
    ends.open.send_replace(true);
    let topology = ends.start(stored(ends.spec(&["b"], "b"), dir, &[]));
    (ends, topology)
}

fn orphaned(topology: &Topology) -> i64 {
    let queue = topology.storage.as_ref().unwrap().queue("a").unwrap();
    queue.publish();
    queue.metrics.orphaned.get()
}

#[tokio::test]
async fn a_log_without_its_destination_is_shown_refuses_no_reload_and_is_delivered_once_it_is_named() {
    let dir = Dir::new("orphan");
    let (ends, mut topology) = with_orphan(&dir).await;
    topology.look_after_orphans(&words(&[]));
    assert_eq!((orphaned(&topology), pending(&topology, "a")), (20, 20));
    let shown = topology.board().logs();
    assert!(shown.iter().any(|log| &*log.name == "a" && log.is_orphan()));
    let without = stored(ends.spec(&["b", "c"], "b"), &dir, &[]);
    topology.reload(without, &words(&[])).await.unwrap();
    assert_eq!(orphaned(&topology), 20);
    let again = stored(ends.spec(&["b", "a"], "b"), &dir, &[]);
    topology.reload(again, &words(&[])).await.unwrap();
    until("all are delivered", || pending(&topology, "a") == 0).await;
    assert_eq!(orphaned(&topology), 0);
    topology.stop().await;
    assert_eq!(ends.got(), numbers(0..20));
}

#[tokio::test]
async fn of_the_words_on_what_goes_purge_holds_at_a_start_and_the_others_lose_nothing() {
    let dir = Dir::new("orphan-purge");
    let (ends, mut topology) = with_orphan(&dir).await;
    for word in [Removal::Drain, Removal::DeadLetter] {
        topology.look_after_orphans(&words(&[("a", word)]));
        assert_eq!(orphaned(&topology), 20, "{word:?}");
    }
    topology.look_after_orphans(&words(&[("a", Removal::Purge)]));
    let queue = Arc::clone(topology.storage.as_ref().unwrap().queue("a").unwrap());
    assert_eq!((orphaned(&topology), queue.metrics.purged.get()), (0, 20));
    topology.stop().await;
    // It stays so.
    let topology = ends.start(stored(ends.spec(&["a"], "a"), &dir, &["a"]));
    assert_eq!(pending(&topology, "a"), 0);
    topology.stop().await;
    assert_eq!(ends.got(), [""; 0]);
}

/// A group has no egress, but a log, and its members stay until that is empty.
#[tokio::test]
async fn a_group_with_a_backlog_goes_only_with_a_word_and_takes_its_members_last() {
    let (dir, mut ends) = (Dir::new("group"), Ends::new());
    ends.open.send_replace(false);
    let with = group(ends.spec(&["a", "b"], "g"), "g", first(vec![to("a"), to("b")]));
    let without = |ends: &Ends| stored(ends.spec(&["c"], "c"), &dir, &[]);
    let mut topology = with_backlog(&mut ends, stored(with, &dir, &["g"]), 30).await;
    let all = [("a", Removal::Drain), ("b", Removal::Drain)];
    let refused = topology.reload(without(&ends), &words(&all)).await.unwrap_err();
    assert!(
        refused.contains("the log of group g still has 30 events"),
        "{refused}"
    );
    let words = words(&[all[0], all[1], ("g", Removal::Drain)]);
    topology.reload(without(&ends), &words).await.unwrap();
    ends.open.send_replace(true);
    until("all are delivered", || pending(&topology, "g") == 0).await;
    topology.stop().await;
    assert_eq!(ends.got(), numbers(0..30));
}

/// Refuses everything while its gate is open.
struct Refusing(watch::Receiver<bool>);

#[async_trait]
impl Egress for Refusing {
    fn profile(&self) -> EgressProfile {
        EgressProfile {
            batch_events: 10,
            batch_bytes: u64::MAX,
            in_flight: 100,
            keeps_order_or_fails: false,
        }
    }

    async fn run(mut self: Box<Self>, mut cx: EgressContext) -> Result<(), EgressError> {
        let stop = cx.stop.clone();
        while let Some(batch) = cx.next_batch().await {
            tokio::select! {
                _ = self.0.wait_for(|open| *open) => batch.fail_rest(&refused()),
                () = stop.stopped() => return Ok(()),
            }
        }
        Ok(())
    }

    async fn probe(&self) -> Result<(), SendError> {
        Ok(())
    }
}

impl EgressBuilder for Refusing {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        Ok(Box::new(Refusing(self.0.clone())))
    }

    fn address(&self) -> String {
        "test:refusing".to_owned()
    }
}

/// C18: it stays for as long as letters may come out of a log.
#[tokio::test]
async fn a_dead_letter_that_goes_with_a_backlog_goes_last() {
    let (dir, mut ends) = (Dir::new("dead-letter"), Ends::new());
    ends.open.send_replace(false);
    let mut with = stored(ends.spec(&["a", "dlq"], "a"), &dir, &["a"]);
    with.routes[0].dead_letter = Some("dlq".into());
    if let DestinationSpec::Endpoint(a) = &mut with.destinations[0] {
        a.builder = Arc::new(Refusing(ends.open.subscribe()));
    }
    let mut topology = with_backlog(&mut ends, with, 20).await;
    let without = stored(ends.spec(&["b"], "b"), &dir, &[]);
    let words = words(&[("a", Removal::Drain)]);
    topology.reload(without, &words).await.unwrap();
    // What goes at once has gone.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    ends.open.send_replace(true);
    until("all are dead letters", || pending(&topology, "a") == 0).await;
    topology.stop().await;
    assert_eq!(ends.got(), numbers(0..20));
}

/// C30: what comes back after a reload goes the new way.
#[tokio::test]
async fn a_log_delivers_through_the_wiring_of_the_last_reload() {
    let (dir, mut ends) = (Dir::new("rewire"), Ends::new());
    ends.open.send_replace(false);
    let spec =
        |ends: &Ends, plan: PlanSpec| stored(group(ends.spec(&["a", "b"], "g"), "g", plan), &dir, &["g"]);
    let mut topology = {
        let spec = spec(&ends, first(vec![to("a")]));
        with_backlog(&mut ends, spec, 30).await
    };
    topology
        .reload(spec(&ends, first(vec![to("b")])), &words(&[]))
        .await
        .unwrap();
    ends.open.send_replace(true);
    until("all are delivered", || pending(&topology, "g") == 0).await;
    let delivered = |name: &str| topology.destination(name).unwrap().metrics.delivered.get();
    assert_eq!(delivered("a") + delivered("b"), 30);
    topology.stop().await;
    assert_eq!(ends.got(), numbers(0..30));
}
