//! Shares of a window: a destination that does not answer leaves enough to the others (C14, C21).

use super::*;

#[tokio::test(start_paused = true)]
async fn a_destination_that_does_not_answer_leaves_half_of_the_window_to_the_others() {
    let world = Draft::new(&["a", "b"]).route(any(&["a", "b"])).build();
    let lane = world.requests(100);
    // In turn to both, and only one of them answers.
    let mut b = world.remote("b");
    let mut waiting = Vec::new();
    let mut refused = 0;
    for n in 0..400 {
        let mut request = submit(&lane, &n.to_string());
        if let Some(verdict) = now(&mut request).await {
            assert_eq!(verdict.outcome, Outcome::Released(Reason::Overloaded));
            refused += 1;
            continue;
        }
        b.accept_all();
        match outcome_now(&mut request).await {
            Some(outcome) => assert_eq!(outcome, Outcome::Accepted),
            None => waiting.push(request),
        }
    }
    assert!((45..=50).contains(&waiting.len()), "{}", waiting.len());
    assert_eq!(waiting.len() + refused, 200, "C14: all of the other's were taken");
    world.remote("a").accept_all();
    for mut request in waiting {
        assert_eq!(outcome_now(&mut request).await, Some(Outcome::Accepted));
    }
    assert_eq!(world.destination("a").requests(), 0);
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn a_request_is_counted_where_it_is() {
    let world = Draft::new(&["a", "b", "dlt"])
        .route(first(vec![all(&["a", "b"]), to("dlt")]))
        .build();
    let lane = world.requests(100);
    let counts = || ["a", "b", "dlt"].map(|name| world.destination(name).requests());
    let mut request = submit(&lane, "1");
    assert_eq!(now(&mut request).await, None);
    assert_eq!(counts(), [1, 1, 0]);
    world.remote("a").accept_all();
    assert_eq!(counts(), [0, 1, 0]);
    world.remote("b").fail(&crate::testing::refused());
    assert_eq!(counts(), [0, 0, 1]);
    world.remote("dlt").accept_all();
    assert_eq!(counts(), [0, 0, 0]);
    assert_eq!(outcome_now(&mut request).await, Some(Outcome::Accepted));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_moved_on_to_a_multicast_is_counted_at_its_branches_only() {
    let world = Draft::new(&["a", "b", "c"])
        .route(first(vec![to("a"), all(&["b", "c"])]))
        .build();
    let lane = world.requests(100);
    let mut request = submit(&lane, "1");
    assert_eq!(now(&mut request).await, None);
    world.remote("a").fail(&crate::testing::refused());
    assert_eq!(
        ["a", "b", "c"].map(|name| world.destination(name).requests()),
        [0, 1, 1]
    );
    world.remote("b").accept_all();
    world.remote("c").accept_all();
    assert_eq!(outcome_now(&mut request).await, Some(Outcome::Accepted));
    world.assert_at_rest();
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_plans_meet_at_one_destination_fits_there_by_itself() {
    let size = event("1").size();
    let world = Draft::new(&["a", "b"])
        .route(to("a"))
        .route(any(&["a"]))
        .settings("a", |s| s.queue.events = 1)
        .budget(2 * size)
        .build();
    let lane = world.requests(10);
    let mut request = submit(&lane, "1");
    assert_eq!(now(&mut request).await, None);
    assert_eq!(world.remote("a").accept_all(), ["1", "1"]);
    assert_eq!(outcome_now(&mut request).await, Some(Outcome::Accepted));
    world.assert_at_rest();
}
