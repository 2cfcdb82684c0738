//! A log that routers share, as the topology sees it: an endpoint and an ingress that no file names.

use super::*;
use crate::topology::spec::EndpointSpec;

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
