use tokio::time::Instant;
use weft_api::ingress::LaneId;
use weft_api::outcome::{Reason, SendError};

use super::{
    Duration, HOUR, LONG, Lanes, World, at_rest, deliver, ms, pipelined, plain, settled, start, world,
};
use crate::delivery::pace::HeldBack;
use crate::delivery::rate::Rate;
use crate::delivery::retry_budget::RetryBudget;
use crate::testing::{Draft, Remote, any, down, event, failed, ids, keyed, pass, to};

/// One retry to begin with, and one an hour.
const SCARCE: RetryBudget = RetryBudget {
    share: 0.0,
    floor: Rate {
        events: 1,
        per: HOUR,
        burst: 1,
    },
};

fn scarce(share: f64) -> (World, Lanes, LaneId, Remote) {
    let (world, lanes, lane) = world(|s| s.retry.budget = Some(RetryBudget { share, ..SCARCE }));
    let a = world.remote("a");
    (world, lanes, lane, a)
}

/// Fails `1` twice, which spends the token that there is.
fn spend(a: &mut Remote, world: &World) {
    assert_eq!(world.destination("a").metrics.retries_deferred.get(), 0);
    assert_eq!(a.fail(&failed()), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_without_a_token_waits_until_the_next_is_due_and_not_longer() {
    let (world, mut lanes, lane, mut a) = scarce(0.0);
    plain(&mut lanes, lane, &["1"]);
    let start = Instant::now();
    spend(&mut a, &world);
    let again = a.next().await;
    let spent = Instant::now();
    assert!(spent - start <= ms(101), "the first token is there");
    again.fail_rest(&failed());
    pass(LONG).await;
    assert!(a.take().is_none());
    let standing = world.destination("a").standing();
    assert_eq!(standing.held_back, Some(HeldBack::RetryBudget));
    assert_eq!(standing.pending_events, 1);
    let third = a.next().await;
    // The clock of timers ticks in milliseconds.
    let waited = Instant::now() - spent;
    assert!(waited >= HOUR && waited <= HOUR + ms(2), "{waited:?}");
    third.accept_all();
    assert_eq!(world.destination("a").metrics.retries_deferred.get(), 1);
    assert_eq!(settled(&mut lanes), 1);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_budget_uses_up_no_attempt() {
    let (world, mut lanes, lane) = world(|s| {
        s.retry.budget = Some(SCARCE);
        s.retry.attempts = 5;
    });
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1"]);
    for _ in 0..4 {
        a.next().await.fail_rest(&failed());
    }
    let last = a.next().await;
    assert_eq!(ids(&last), ["1"]);
    last.accept_all();
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn first_attempts_pass_it_and_earn_its_way() {
    let (world, mut lanes, lane, mut a) = scarce(0.5);
    plain(&mut lanes, lane, &["1"]);
    spend(&mut a, &world);
    a.next().await.fail_rest(&failed());
    pass(LONG).await;
    assert!(a.take().is_none(), "half a token is none");
    plain(&mut lanes, lane, &["2"]);
    assert_eq!(ids(&a.next().await), ["2"]);
    assert_eq!(ids(&a.next().await), ["1"], "two first attempts earned one retry");
    pass(LONG).await;
    assert_eq!(
        world.destination("a").standing().pending_events,
        2,
        "both were dropped"
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goes_past_the_queue_earns_too() {
    let (world, mut lanes, lane, mut a) = scarce(1.0);
    plain(&mut lanes, lane, &["1"]);
    a.take().unwrap().accept_all();
    let destination = world.destination("a");
    for n in 0..5 {
        let direct = event(&n.to_string());
        assert!(destination.try_reserve(direct.size(), (0, 0)));
        let pass = destination.try_direct(&direct).unwrap();
        pass.accepted();
    }
    // Six first attempts by now, and the token of the floor.
    plain(&mut lanes, lane, &["2"]);
    for _ in 0..7 {
        a.next().await.fail_rest(&failed());
    }
    pass(LONG).await;
    assert_eq!(destination.metrics.retries_deferred.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_key_waits_with_its_head_and_others_do_not() {
    let (world, mut lanes, lane, mut a) = scarce(0.0);
    deliver(&mut lanes, lane, [keyed("1", "k"), keyed("2", "k")]);
    spend(&mut a, &world);
    a.next().await.fail_rest(&failed());
    pass(LONG).await;
    deliver(&mut lanes, lane, [keyed("3", "other"), event("4")]);
    let mut seen = a.accept_all();
    seen.sort();
    assert_eq!(seen, ["3", "4"]);
    pass(HOUR).await;
    assert_eq!(a.accept_all(), ["1", "2"], "C20");
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn probes_and_what_the_breaker_held_cost_nothing() {
    let (world, mut lanes, lane, mut a) = scarce(0.0);
    plain(&mut lanes, lane, &["1", "2", "3", "4", "5", "6", "7", "8"]);
    let unauthorised = SendError::destination(Reason::Unauthorised, "401");
    // Several failures while it is closed, the last of which opens it.
    let batch = a.take().unwrap();
    assert_eq!(batch.events().len(), 8);
    batch.fail_rest(&unauthorised);
    for _ in 0..5 {
        let probe = a.next().await;
        assert_eq!(probe.events().len(), 1);
        probe.fail_rest(&unauthorised);
    }
    a.next().await.accept_all();
    assert_eq!(a.accept_all().len(), 7, "a first attempt, all of them");
    assert_eq!(world.destination("a").metrics.retries_deferred.get(), 0);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_the_budget_is_held_by_the_breaker_like_the_rest() {
    let (world, mut lanes, lane, mut a) = scarce(0.0);
    plain(&mut lanes, lane, &["1"]);
    spend(&mut a, &world);
    a.next().await.fail_rest(&failed());
    pass(LONG).await;
    assert!(a.take().is_none());
    plain(&mut lanes, lane, &["2"]);
    a.fail(&SendError::destination(Reason::Misconfigured, "404"));
    a.next().await.accept_all();
    assert_eq!(a.accept_all().len(), 1, "no token is needed after the outage");
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_expires_while_it_waits_ends_as_expired() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .last_route(|route| route.max_age = Some(LONG))
        .settings("a", |s| s.retry.budget = Some(SCARCE));
    let (world, mut lanes, lane) = start(draft);
    let mut a = world.remote("a");
    deliver(&mut lanes, lane, [event("1"), keyed("2", "k")]);
    a.take().unwrap().fail_rest(&failed());
    pass(Duration::from_secs(1)).await;
    a.take().unwrap().fail_rest(&failed());
    pass(Duration::from_secs(1)).await;
    assert!(a.take().is_none());
    pass(LONG).await;
    world.destination("a").sweep();
    assert_eq!(world.destination("a").metrics.expired.get(), 2);
    assert_eq!(settled(&mut lanes), 2);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn what_stands_behind_a_swept_retry_leaves_at_once() {
    let (world, mut lanes, lane, mut a) = scarce(0.0);
    let mut others = world.lanes_of_another();
    let other = others.open(crate::testing::spec(weft_api::ingress::Settle::InOrder, 10));
    deliver(&mut others, other, [keyed("1", "k")]);
    deliver(&mut lanes, lane, [keyed("2", "k")]);
    spend(&mut a, &world);
    a.next().await.fail_rest(&failed());
    pass(LONG).await;
    assert!(a.take().is_none());
    others.close(other);
    world.destination("a").sweep_stale();
    assert_eq!(a.accept_all(), ["2"], "a first attempt needs no token");
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_nothing_waits_for_it_and_a_reload_may_set_one() {
    let (world, mut lanes, lane) = world(|s| {
        s.retry.budget = None;
        s.retry.attempts = 1000;
    });
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1"]);
    let start = Instant::now();
    for _ in 0..200 {
        a.next().await.fail_rest(&failed());
    }
    let destination = world.destination("a");
    assert_eq!(destination.metrics.retries_deferred.get(), 0);
    let mut settings = (**destination.settings()).clone();
    settings.retry.budget = Some(SCARCE);
    destination.configure(settings.clone());
    a.next().await.fail_rest(&failed());
    pass(LONG).await;
    assert!(a.take().is_none());
    settings.retry.budget = None;
    destination.configure(settings);
    assert_eq!(a.accept_all(), ["1"]);
    assert!(start.elapsed() < HOUR * 3);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_struggling_remote_gets_a_fifth_more_than_its_traffic_and_ten_a_second() {
    let (world, mut lanes, lane) = world(|s| s.breaker.failures = 1_000_000);
    let mut a = world.remote("a");
    let (mut firsts, mut sends) = (0u64, 0u64);
    let start = Instant::now();
    for n in 0..600u64 {
        deliver(&mut lanes, lane, [event(&n.to_string())]);
        firsts += 1;
        while let Some(batch) = a.take() {
            sends += batch.events().len() as u64;
            batch.fail_rest(&down());
        }
        pass(ms(100)).await;
        settled(&mut lanes);
    }
    let seconds = start.elapsed().as_secs();
    let (retries, bound) = (sends - firsts, firsts / 5 + (seconds + 10) * 10);
    assert!(retries <= bound, "{retries} of {bound}");
    assert!(retries * 10 >= bound * 9, "{retries} of {bound}: it is used, too");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_unsent_earns_only_once() {
    let (world, mut lanes, lane) = world(|s| {
        s.retry.budget = Some(RetryBudget {
            share: 0.25,
            ..SCARCE
        });
    });
    let mut a = pipelined(&world);
    deliver(&mut lanes, lane, (0..4).map(|n| keyed(&n.to_string(), "k")));
    // Four first attempts earn one token, and one was there. The first event fails in each round, the others go back.
    for _ in 0..3 {
        let mut batch = a.next().await;
        assert_eq!(batch.events().len(), 4);
        let line = batch.refuse(0, failed()).unwrap();
        assert_eq!(batch.recall(line, 1).len(), 3);
    }
    pass(LONG).await;
    assert!(a.take().is_none(), "both tokens are spent");
    pass(HOUR).await;
    assert_eq!(a.accept_all().len(), 4);
    at_rest(&world, &mut lanes);
}

/// C23: members of an anycast that all fail do not send an event round and round past their budgets.
#[tokio::test(start_paused = true)]
async fn what_every_member_has_had_is_sent_again_wherever_it_goes() {
    let settings = |s: &mut crate::delivery::settings::Settings| {
        s.retry.budget = Some(SCARCE);
        s.retry.attempts = 100;
        s.breaker.failures = 100;
    };
    let draft = Draft::new(&["a", "b"])
        .route(any(&["a", "b"]))
        .settings("a", settings)
        .settings("b", settings);
    let (world, mut lanes, lane) = start(draft);
    let mut members = [world.remote("a"), world.remote("b")];
    plain(&mut lanes, lane, &["1"]);
    let mut sent = 0;
    for _ in 0..20 {
        for member in &mut members {
            while let Some(batch) = member.take() {
                sent += batch.events().len();
                batch.fail_rest(&failed());
            }
        }
        pass(LONG).await;
    }
    // A first attempt and the token that there is, at each.
    assert_eq!(sent, 4);
    assert_eq!(
        world.destination("a").pending_events() + world.destination("b").pending_events(),
        1
    );
}
