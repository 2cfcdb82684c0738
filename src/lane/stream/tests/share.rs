//! Shares of the byte budget: who is stuck leaves enough to the others (C14, C21).

use super::*;
use crate::routing::filter::{FilterExpr, Predicate};

/// An event for one of the destinations of [`by_name`].
fn named(name: &str, number: u64) -> Vec<Incoming> {
    vec![Incoming::from(event(&format!("{name}-{number}")))]
}

/// Two destinations, to which the ids of events lead.
fn by_name() -> Draft {
    ["a", "b"]
        .into_iter()
        .fold(Draft::new(&["a", "b"]), |draft, name| {
            let filter = FilterExpr::Prefix([("id".to_owned(), format!("{name}-"))].into());
            draft.route(to(name)).last_route(|route| {
                route.predicate = std::sync::Arc::new(Predicate::compile_all(&[filter]).unwrap());
            })
        })
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_empty_may_move_one_event_however_short_the_budget() {
    let size = event("0").size();
    let world = Draft::new(&["a"]).route(to("a")).budget(3 * size).build();
    let mut lanes = world.lanes();
    let window = Window {
        events: 100,
        bytes: 2 * size,
    };
    let open = |lanes: &mut Lanes| {
        lanes.open(LaneSpec {
            window,
            ..spec(Settle::InOrder, 1)
        })
    };
    let opened: Vec<LaneId> = (0..5).map(|_| open(&mut lanes)).collect();
    let admitted: Vec<u64> = opened.iter().map(|lane| fill(&mut lanes, *lane)).collect();
    assert_eq!(
        admitted,
        [2, 1, 1, 1, 1],
        "a window while there is budget, then one each"
    );
    world.remote("a").accept_all();
    let told = said(&mut lanes);
    assert_eq!(
        told.iter()
            .filter(|event| matches!(event, LaneEvent::Credit))
            .count(),
        5,
        "{told:?}"
    );
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_was_given_one_event_is_told_once_that_is_in_that_there_is_more() {
    let size = event("0").size();
    let world = Draft::new(&["a"]).route(to("a")).budget(9 * size).build();
    let mut lanes = world.lanes();
    // Its window is more than it will ever get of the budget.
    let window = Window {
        events: 100,
        bytes: 20 * size,
    };
    let lane = lanes.open(LaneSpec {
        window,
        ..spec(Settle::InOrder, 1)
    });
    assert_eq!(lanes.credit(lane).events, 1);
    assert_eq!(lanes.try_next(), None, "it has not used what it was given");
    lanes.deliver(lane, &mut incoming(1));
    assert_eq!(lanes.try_next(), Some((lane, LaneEvent::Credit)));
    let (events, bytes) = (99, 3 * size + size / 2);
    assert_eq!(lanes.credit(lane), Credit { events, bytes });
    world.remote("a").accept_all();
    assert_eq!(said(&mut lanes)[0], accepted(0, 0));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_lane_short_of_budget_is_told_when_others_free_some() {
    let size = named("a", 0)[0].event.size();
    let world = by_name().budget(8 * size).build();
    let mut lanes = world.lanes();
    let (lane, other) = (
        lanes.open(spec(Settle::Individual, 100)),
        lanes.open(spec(Settle::Individual, 100)),
    );
    (0..6).for_each(|n| _ = lanes.deliver(other, &mut named("a", n)));
    lanes.deliver(lane, &mut named("b", 0));
    assert_eq!(lanes.credit(lane), Credit { events: 0, bytes: 0 });
    let mut batch = world.remote("a").take().unwrap();
    batch.accept(&[0, 1, 2, 3]);
    let told: Vec<_> = std::iter::from_fn(|| lanes.try_next()).collect();
    assert!(told.contains(&(lane, LaneEvent::Credit)), "{told:?}");
    let (events, bytes) = (99, 2 * size);
    assert_eq!(lanes.credit(lane), Credit { events, bytes });
    assert_eq!(
        lanes.try_next(),
        None,
        "told of less than it wants, it is not told of the same again"
    );
    world.remote("b").accept_all();
    batch.accept_all();
    assert!(said(&mut lanes).contains(&LaneEvent::Credit));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_is_stuck_leaves_half_of_the_budget_to_the_others() {
    let size = event("0").size();
    let world = Draft::new(&["a", "b"])
        .ingress(|ingress| ingress.unmatched = UnmatchedSpec::Reject)
        .budget(100 * size)
        .build();
    let mut lanes = world.lanes();
    let (held, live) = (
        lanes.open(spec(Settle::InOrder, 1000)),
        lanes.open(spec(Settle::InOrder, 1000)),
    );
    let stuck = fill(&mut lanes, held);
    assert!((45..=51).contains(&stuck), "{stuck}");
    let found = fill(&mut lanes, live);
    assert!((20..=30).contains(&found), "{found}");
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_stuck_leaves_half_of_the_budget_to_the_others() {
    let size = named("a", 0)[0].event.size();
    let world = by_name().budget(200 * size).build();
    let mut lanes = world.lanes();
    // Ten lanes to the stuck one: together they take no more than a single one would.
    let mut taken = 0;
    for _ in 0..10 {
        let lane = lanes.open(spec(Settle::InOrder, 1000));
        while lanes.credit(lane).events > 0 {
            lanes.deliver(lane, &mut named("a", taken));
            taken += 1;
        }
    }
    assert!((90..=125).contains(&taken), "{taken}");
    let (mut b, live) = (world.remote("b"), lanes.open(spec(Settle::InOrder, 1000)));
    for n in 0..500 {
        assert!(lanes.credit(live).events > 0, "C14: event {n}");
        lanes.deliver(live, &mut named("b", n));
        assert_eq!(b.accept_all().len(), 1);
        said(&mut lanes);
    }
    world.remote("a").accept_all();
    said(&mut lanes);
    world.assert_at_rest();
}
