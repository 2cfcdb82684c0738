//! A log that routers share, as the topology sees it: an endpoint and an ingress that no file names.

use super::*;
use crate::topology::spec::{EndpointSpec, SharedSpec};

/// `a` behind a log whose writer is a sink of its own, and whose reader is the tap; `in` delivers nothing.
fn spec(ends: &Ends, writer: &Ends) -> Spec {
    let mut spec = Draft::new(&["a"]).shared("a").route(to("a")).spec;
    spec.budget = 1 << 30;
    spec.ingresses.remove(0);
    spec.ingresses[0].builder = Arc::clone(&ends.tap) as Arc<dyn IngressBuilder>;
    let sinks = [&ends.sink, &writer.sink];
    for (destination, sink) in spec.destinations.iter_mut().zip(sinks) {
        let DestinationSpec::Endpoint(EndpointSpec { builder, .. }) = destination else {
            continue;
        };
        *builder = Arc::clone(sink) as Arc<dyn EgressBuilder>;
    }
    spec
}

/// C29: a backlog is not waited for, however long its destination is down; what can be settled at once is.
#[tokio::test(start_paused = true)]
async fn a_drain_waits_only_a_little_for_what_a_log_has() {
    let (mut ends, writer) = (Ends::new(), Ends::new());
    let topology = ends.start(spec(&ends, &writer));
    ends.hang(&topology, "1").await;
    let before = Instant::now();
    let far = before + Duration::from_secs(3600);
    assert_eq!(topology.drain(far, |_| {}).await, 1);
    assert!(before.elapsed() < Duration::from_secs(5));
    ends.open.send_replace(true);
    assert_eq!(topology.drain(far, |_| {}).await, 0);
    topology.stop().await;
    assert_eq!((ends.got(), writer.got()), (vec!["1".to_owned()], Vec::new()));
}

/// C30: what is on its way into the log gets there, and nobody needs to say so.
#[tokio::test(start_paused = true)]
async fn a_shared_log_is_taken_away_while_legs_are_on_their_way_into_it() {
    let (mut ends, writer) = (Ends::new(), Ends::new());
    let mut with_tap = spec(&ends, &writer);
    let reader = with_tap.ingresses.remove(0);
    let mut web = Draft::new(&[]).spec.ingresses.remove(0);
    web.builder = reader.builder;
    with_tap.ingresses.push(web);
    let mut topology = ends.start(with_tap);
    writer.open.send_replace(false);
    ends.send.send(event("1")).unwrap();
    while topology.unsettled() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let without = ends.spec(&["a"], "a");
    let report = topology.reload(without, &words(&[])).await.unwrap();
    assert_eq!(report.destinations.removed, ["a.log"]);
    writer.open.send_replace(true);
    assert_eq!(ends.settled.recv().await, Some(Outcome::Accepted));
    assert_eq!(writer.got(), ["1"]);
    assert_eq!(ends.deliver("2").await, Outcome::Accepted);
    assert_eq!(ends.got(), ["2"], "past the log from now on");
    topology.stop().await;
}

/// Says `lag` until the board shows something.
async fn say(ends: &Ends, topology: &Topology, lag: u64, until: impl Fn(&Topology) -> bool) {
    for _ in 0..1000 {
        ends.lag.send_replace(lag);
        if until(topology) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("a lag of {lag} changes nothing");
}

fn lag(topology: &Topology) -> Option<u64> {
    let views = topology.board().ingresses();
    views
        .iter()
        .find(|view| &*view.post.name == "a.log")?
        .post
        .lag_now()
}

/// C1: what the topic has was acknowledged. Without a word it stays as it is, and the only word is that it is delivered.
#[tokio::test(start_paused = true)]
async fn a_shared_log_with_a_backlog_goes_only_once_it_is_delivered() {
    let (mut ends, writer) = (Ends::new(), Ends::new());
    let mut topology = ends.start(spec(&ends, &writer));
    ends.hang(&topology, "1").await;
    let other = Ends::new();
    let without = || other.spec(&["b"], "b");
    let refused = topology.reload(without(), &words(&[])).await.unwrap_err();
    assert!(refused.contains("has not told yet how many events"), "{refused}");
    say(&ends, &topology, 5, |topology| lag(topology) == Some(5)).await;
    let all = |how| words(&[("a", how)]);
    for (removed, said) in [
        (words(&[("a.log", Removal::Purge)]), "say `drain`"),
        (all(Removal::DeadLetter), "say `drain`"),
        (words(&[]), "still has"),
    ] {
        let refused = topology.reload(without(), &removed).await.unwrap_err();
        assert!(refused.contains(said), "{refused}");
    }
    topology.reload(without(), &all(Removal::Drain)).await.unwrap();
    ends.open.send_replace(true);
    assert_eq!(ends.settled.recv().await, Some(Outcome::Accepted));
    say(&ends, &topology, 1, |topology| lag(topology) == Some(1)).await;
    assert_eq!(ends.deliver("2").await, Outcome::Accepted, "it reads on");
    say(&ends, &topology, 0, |topology| {
        let (ingresses, destinations) = (topology.board().ingresses(), topology.board().destinations());
        ingresses.len() == 1 && destinations.iter().all(|view| &*view.post.name == "b")
    })
    .await;
    topology.stop().await;
    assert_eq!(ends.got(), ["1", "2"]);
}

/// C20: what comes would pass what is there, which nobody shall find out afterwards.
#[tokio::test(start_paused = true)]
async fn a_destination_loses_its_shared_log_only_once_it_is_empty_or_by_a_word() {
    let (ends, writer) = (Ends::new(), Ends::new());
    let mut topology = ends.start(spec(&ends, &writer));
    say(&ends, &topology, 5, |topology| lag(topology) == Some(5)).await;
    let other = Ends::new();
    let without = || other.spec(&["a"], "a");
    let refused = topology.reload(without(), &words(&[])).await.unwrap_err();
    assert!(refused.contains("removed: { a.log: drain }"), "{refused}");
    let word = words(&[("a.log", Removal::Drain)]);
    topology.reload(without(), &word).await.unwrap();
    assert_eq!(ends.tap.opened.load(Ordering::SeqCst), 1);

    // It comes back before it is empty: there is one reader, not two.
    topology.reload(spec(&ends, &writer), &words(&[])).await.unwrap();
    let views = topology.board().ingresses();
    assert_eq!(views.iter().filter(|view| &*view.post.name == "a.log").count(), 1);
    say(&ends, &topology, 0, |topology| lag(topology) == Some(0)).await;
    assert_eq!(ends.tap.opened.load(Ordering::SeqCst), 2);
    topology.reload(without(), &words(&[])).await.unwrap();
    topology.stop().await;
}

/// Another topic or group is another log: whoever changes it hears what stays behind.
#[tokio::test(start_paused = true)]
async fn a_reader_that_is_sent_elsewhere_says_what_it_leaves_behind() {
    let (ends, writer) = (Ends::new(), Ends::new());
    let topology = ends.start(spec(&ends, &writer));
    let mut log = spec(&ends, &writer).ingresses.remove(0).log.unwrap();
    let left = |log: &SharedSpec| topology.ingresses["a.log"].left_behind(Some(log));
    assert_eq!(left(&log), None);
    log.place = "topic b".into();
    assert!(left(&log).unwrap().contains("nobody knows how many events"));
    say(&ends, &topology, 5, |topology| lag(topology) == Some(5)).await;
    assert!(left(&log).unwrap().contains("(5 events)"));
    topology.stop().await;
}
