//! Lanes that are held by an event that no route takes.

use super::*;
use crate::routing::filter::{FilterExpr, Predicate};

#[tokio::test(start_paused = true)]
async fn an_event_that_no_route_takes_holds_an_in_order_lane_until_a_reload_frees_it() {
    let reject = |draft: Draft| draft.ingress(|ingress| ingress.unmatched = UnmatchedSpec::Reject);
    let world = reject(Draft::new(&["a"])).build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    lanes.deliver(lane, &mut incoming(1));
    pass(Duration::from_secs(30)).await;
    assert_eq!(said(&mut lanes), []);
    assert_eq!(world.port.metrics.books.held_lanes.get(), 1);
    let reloaded = reject(Draft::new(&["a"])).route(to("a")).build();
    world.gate.store(reloaded.gate.load_full());
    pass(Duration::from_secs(30)).await;
    assert_eq!(said(&mut lanes), []);
    assert_eq!(reloaded.remote("a").accept_all(), ["0"]);
    assert_eq!(said(&mut lanes), [accepted(0, 0)]);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn what_comes_behind_an_event_that_no_route_takes_does_not_pass_it() {
    let strict = |filter: Option<&str>| {
        let draft = Draft::new(&["a"]).ingress(|ingress| ingress.unmatched = UnmatchedSpec::Reject);
        let id = |id: &str| FilterExpr::Exact([("id".to_owned(), id.to_owned())].into());
        draft
            .route(to("a"))
            .last_route(|route| {
                let filters: Vec<_> = filter
                    .map(id)
                    .into_iter()
                    .map(|id| FilterExpr::Not(Box::new(id)))
                    .collect();
                route.predicate = std::sync::Arc::new(Predicate::compile_all(&filters).unwrap());
            })
            .build()
    };
    let world = strict(Some("1"));
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    lanes.deliver(lane, &mut incoming(4));
    assert_eq!(world.remote("a").accept_all(), ["0"]);
    assert_eq!(said(&mut lanes), [accepted(0, 0)]);
    // Looked at again, and refused again: the books have it once.
    pass(Duration::from_secs(30)).await;
    assert_eq!(said(&mut lanes), []);
    let metrics = &world.port.metrics;
    assert_eq!((metrics.unmatched.get(), metrics.books.held_lanes.get()), (1, 1));
    let reloaded = strict(None);
    world.gate.store(reloaded.gate.load_full());
    pass(Duration::from_secs(30)).await;
    assert_eq!(said(&mut lanes), []);
    assert_eq!(reloaded.remote("a").accept_all(), ["1", "2", "3"], "C20");
    assert_eq!(said(&mut lanes), [accepted(1, 3)]);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_held_lane_goes_on_once_a_reload_says_drop() {
    let world = Draft::new(&["a"])
        .ingress(|ingress| ingress.unmatched = UnmatchedSpec::Reject)
        .build();
    let mut lanes = world.lanes();
    let lane = lanes.open(spec(Settle::InOrder, 10));
    lanes.deliver(lane, &mut incoming(2));
    assert_eq!(said(&mut lanes), []);
    world
        .port
        .drop_rejected
        .store(true, std::sync::atomic::Ordering::Relaxed);
    pass(Duration::from_secs(30)).await;
    let outcome = Outcome::Rejected(Reason::Unmatched);
    let (first, last) = (0, 1);
    assert_eq!(said(&mut lanes), [LaneEvent::Settled { first, last, outcome }]);
    world.assert_at_rest();
}
