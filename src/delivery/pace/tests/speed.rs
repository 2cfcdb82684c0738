use tokio::time::Instant;
use weft_api::outcome::{Reason, SendError};

use super::{Duration, LONG, at_rest, deliver, ms, plain, settled, start, world};
use crate::delivery::pace::HeldBack;
use crate::delivery::rate::Rate;
use crate::delivery::settings::Settings;
use crate::testing::{Draft, event, failed, ids, keyed, pass, to};

/// Three at once, ten a second.
const TEN: Rate = Rate {
    events: 10,
    per: Duration::from_secs(1),
    burst: 3,
};

fn ten(settings: &mut Settings) {
    settings.rate = Some(TEN);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_cut_to_what_the_rate_has_and_the_rest_comes_when_it_is_due() {
    let (world, mut lanes, lane) = world(ten);
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1", "2", "3", "4", "5"]);
    let start = Instant::now();
    let mut batches = Vec::new();
    for _ in 0..3 {
        let batch = a.next().await;
        batches.push((ids(&batch).concat(), start.elapsed().as_millis()));
        batch.accept_all();
    }
    assert_eq!(batches, [("123".into(), 0), ("4".into(), 100), ("5".into(), 200)]);
    assert_eq!(settled(&mut lanes), 5);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn it_says_that_it_waits_for_its_rate() {
    let (world, mut lanes, lane) = world(ten);
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1", "2", "3", "4"]);
    let held_back = || world.destination("a").standing().held_back;
    assert_eq!(held_back(), None);
    a.take().unwrap().accept_all();
    assert!(a.take().is_none());
    assert_eq!(held_back(), Some(HeldBack::Rate));
    a.next().await.accept_all();
    assert_eq!(held_back(), None, "nothing waits");
}

#[tokio::test(start_paused = true)]
async fn keys_keep_their_order_under_it() {
    let (world, mut lanes, lane) = world(ten);
    let mut a = world.remote("a");
    deliver(
        &mut lanes,
        lane,
        (0..9).map(|n| keyed(&n.to_string(), ["x", "y"][n % 2])),
    );
    let mut seen = Vec::new();
    while seen.len() < 9 {
        let batch = a.next().await;
        seen.extend(ids(&batch));
        batch.accept_all();
    }
    for odd in [0, 1] {
        let of_key: Vec<usize> = seen
            .iter()
            .map(|id| id.parse().unwrap())
            .filter(|n| n % 2 == odd)
            .collect();
        assert!(of_key.is_sorted(), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retries_and_probes_are_events_like_others() {
    let (world, mut lanes, lane) = world(|s| {
        ten(s);
        s.retry.initial = ms(1);
        s.retry.max = ms(1);
        s.breaker.initial = ms(1);
        s.breaker.max = ms(1);
    });
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1"]);
    let start = Instant::now();
    for _ in 0..3 {
        a.next().await.fail_rest(&failed());
    }
    a.next()
        .await
        .fail_rest(&SendError::destination(Reason::Unauthorised, "401"));
    let fourth = start.elapsed();
    assert!(fourth >= ms(100) && fourth <= ms(102), "{fourth:?}");
    a.next().await.accept_all();
    let probe = start.elapsed();
    assert!(probe >= ms(200) && probe <= ms(202), "{probe:?}");
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn a_request_takes_its_token_or_waits_in_the_queue() {
    let (world, _lanes, _) = world(ten);
    let _a = world.remote("a");
    let destination = world.destination("a");
    let one = event("1");
    for _ in 0..3 {
        assert!(destination.try_reserve(one.size(), (0, 0)));
        destination.try_direct(&one).unwrap().accepted();
    }
    assert!(destination.try_direct(&one).is_none());
    pass(ms(100)).await;
    assert!(destination.try_direct(&one).is_some());
}

#[tokio::test(start_paused = true)]
async fn an_event_that_expires_while_it_waits_ends_as_expired_and_takes_no_token() {
    let draft = Draft::new(&["a"])
        .route(to("a"))
        .last_route(|route| route.max_age = Some(ms(50)))
        .settings("a", ten);
    let (world, mut lanes, lane) = start(draft);
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1", "2", "3", "4", "5"]);
    a.take().unwrap().accept_all();
    pass(ms(100)).await;
    plain(&mut lanes, lane, &["6"]);
    assert_eq!(a.accept_all(), ["6"], "the token is for one that is sent");
    assert_eq!(world.destination("a").metrics.expired.get(), 2);
    assert_eq!(settled(&mut lanes), 6);
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn another_rate_takes_effect_at_once() {
    let (world, mut lanes, lane) = world(|s| {
        s.rate = Some(Rate {
            events: 1,
            per: Duration::from_secs(3600),
            burst: 1,
        });
    });
    let mut a = world.remote("a");
    plain(&mut lanes, lane, &["1", "2", "3", "4"]);
    assert_eq!(a.accept_all(), ["1"]);
    let destination = world.destination("a");
    let configure = |rate| {
        let mut settings = (**destination.settings()).clone();
        settings.rate = rate;
        destination.configure(settings);
    };
    configure(Some(TEN));
    let start = Instant::now();
    a.next().await.accept_all();
    assert!(start.elapsed() <= ms(101), "{:?}", start.elapsed());
    configure(None);
    assert_eq!(a.accept_all(), ["3", "4"]);
    pass(LONG).await;
    at_rest(&world, &mut lanes);
}

#[tokio::test(start_paused = true)]
async fn over_any_time_no_more_leaves_than_burst_and_rate() {
    let (world, mut lanes, lane) = world(|s| s.rate = Some(Rate::steady(3000, Duration::from_secs(1))));
    let mut a = world.remote("a");
    deliver(&mut lanes, lane, (0..900).map(|n| event(&n.to_string())));
    let (start, mut sent) = (Instant::now(), 0u128);
    while sent < 900 {
        let batch = a.next().await;
        sent += batch.events().len() as u128;
        batch.accept_all();
        assert!(sent <= 300 + start.elapsed().as_micros() * 3 / 1000, "{sent}");
    }
    let took = start.elapsed();
    assert!(took <= ms(205), "the burst, then 600 at 3,000 a second: {took:?}");
    assert_eq!(settled(&mut lanes), 900);
}
