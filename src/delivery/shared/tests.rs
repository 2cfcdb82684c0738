#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::*;
use crate::delivery::leg::Leg;
use crate::delivery::origin::{Charge, Origin, Ticket};
use crate::delivery::stored::record::wall_ms;
use crate::testing::{Draft, World, event, first, keyed, to};

struct Nothing;

impl Charge for Nothing {
    fn release(&self, _: u64) {}
}

fn world() -> World {
    Draft::new(&["a", "b"])
        .route(first(vec![to("a"), to("b")]))
        .build()
}

fn leg(world: &World, event: Event) -> Leg {
    let charge = Arc::new(Nothing);
    let ticket = Ticket::new(Arc::clone(&world.port), charge, 1, 1);
    let origin = Origin::Ticket(Arc::new(ticket));
    Leg::new(event, origin, Arc::clone(&world.wiring), 0, Instant::now())
}

fn now() -> (Instant, SystemTime) {
    (Instant::now(), UNIX_EPOCH + Duration::from_secs(1_800_000_000))
}

/// What Kafka's headers keep of an event: no types, one key.
fn through_headers(event: &Event) -> Event {
    let mut builder = EventBuilder::new();
    for (name, value) in event.attributes() {
        builder.set(name, AttrKind::String, value.text);
    }
    if let Some(data) = event.data() {
        builder.data(data.clone());
    }
    let built = builder.build().unwrap();
    built.with_key(event.key().map(Bytes::copy_from_slice))
}

fn attributes(event: &Event) -> Vec<(String, AttrKind, String)> {
    let all = event.attributes();
    all.map(|(name, value)| (name.to_owned(), value.kind, value.text.to_owned()))
        .collect()
}

fn assert_same(back: &Event, event: &Event) {
    assert_eq!(attributes(back), attributes(event));
    assert_eq!(back.data(), event.data());
    assert_eq!(back.transport_key(), event.transport_key());
}

fn round(event: &Event, order_by: &KeyRule) -> Record {
    let world = world();
    let leg = leg(&world, event.clone());
    let record = put(&leg.event, &leg.duty, order_by, now()).unwrap();
    take(through_headers(&record), now().1).unwrap()
}

#[tokio::test]
async fn what_comes_out_is_the_event_that_went_in() {
    let mut rich = event("1").edit();
    rich.set("subject", AttrKind::String, "s")
        .set("datacontenttype", AttrKind::String, "application/json")
        .set("zeta", AttrKind::Integer, "-7")
        .set("alpha", AttrKind::Boolean, "true")
        .set("blob", AttrKind::Binary, "AAEC")
        .set("at", AttrKind::Timestamp, "2026-01-31T08:00:00.5+01:00")
        .set("ref", AttrKind::UriReference, "/x")
        .set("place", AttrKind::Uri, "urn:x:y")
        .set("word", AttrKind::String, "\u{1F600} \"quoted\"")
        .data(Bytes::from_static(b"{\"a\":1}"));
    let rich = rich.build().unwrap();
    let mut empty = event("2").edit();
    let empty = empty.data(Bytes::new()).build().unwrap();
    let mut partitioned = event("3").edit();
    let partitioned = partitioned.extension("partitionkey", "p").build().unwrap();
    for event in [
        rich,
        empty,
        event("4"),
        keyed("5", "k"),
        event("6").with_key(Some(Bytes::new())),
        event("7").with_key(Some(Bytes::from_static(&[0, 255]))),
        partitioned.clone().with_key(Some(Bytes::from_static(b"other"))),
        partitioned,
    ] {
        for order_by in [KeyRule::Key, KeyRule::None, KeyRule::Attribute("zeta".into())] {
            assert_same(&round(&event, &order_by).event, &event);
        }
    }
}

/// A record with such a content type would be read as the event that is in it.
#[tokio::test]
async fn an_event_that_carries_events_is_not_mistaken_for_them() {
    for media in [
        "application/cloudevents+json",
        "Application/CloudEvents-batch+json; charset=utf-8",
    ] {
        let mut carrier = event("1").edit();
        carrier.datacontenttype(media).data(Bytes::from_static(b"[]"));
        let carrier = carrier.build().unwrap();
        let world = world();
        let leg = leg(&world, carrier.clone());
        let record = put(&carrier, &leg.duty, &KeyRule::Key, now()).unwrap();
        assert!(record.get("datacontenttype").is_none());
        assert_same(&take(through_headers(&record), now().1).unwrap().event, &carrier);
    }
}

/// C20: what the destination is ordered by is what the topic is ordered by.
#[tokio::test]
async fn the_record_is_keyed_by_what_orders_the_destination() {
    let mut ordered = keyed("1", "k").edit();
    let ordered = ordered.extension("customer", "c").build().unwrap();
    let ordered = ordered.with_key(Some(Bytes::from_static(b"k")));
    let world = world();
    let leg = leg(&world, ordered.clone());
    let key = |rule: &KeyRule| {
        let record = put(&ordered, &leg.duty, rule, now()).unwrap();
        record.key().map(<[u8]>::to_vec)
    };
    assert_eq!(key(&KeyRule::Key).as_deref(), Some(&b"k"[..]));
    assert_eq!(
        key(&KeyRule::Attribute("customer".into())).as_deref(),
        Some(&b"c"[..])
    );
}

#[tokio::test]
async fn an_event_keeps_an_extension_of_the_same_name() {
    let mut own = event("1").edit();
    own.extension(NAME, "mine").extension("after", "x");
    let own = own.build().unwrap();
    assert_same(&round(&own, &KeyRule::Key).event, &own);
}

#[tokio::test]
async fn what_had_become_of_the_leg_travels_with_it() {
    let world = world();
    let mut leg = leg(&world, event("1"));
    let (instant, wall) = now();
    let duty = &mut leg.duty;
    duty.attempts = 2;
    duty.tries = 3;
    duty.replays = 4;
    duty.maybe_delivered = true;
    duty.dead_letter = true;
    duty.expires = Some(instant + Duration::from_secs(60));
    // What no attribute may have, of both kinds.
    duty.note(&SendError::event(
        Reason::Refused,
        "422 \u{7}\u{fffe}\u{fdd0}\u{1ffff}no",
    ));
    let mut steps = crate::routing::plan::Steps::new();
    let asker = crate::routing::plan::Asker {
        key: &leg.event,
        view: &*world.wiring,
        held: false,
    };
    let table = &world.wiring.table;
    table.plans.descend(table.routes[0].parts[0], asker, &mut steps);
    leg.duty.steps = steps;
    let record = put(&leg.event, &leg.duty, &KeyRule::Key, (instant, wall)).unwrap();
    let back = take(through_headers(&record), wall).unwrap();
    assert_eq!((&*back.route, back.attempts, back.tries), ("r0", 2, 3));
    assert_eq!(back.replays, 4);
    assert!(back.maybe_delivered && back.dead_letter);
    assert_eq!(back.stored_ms, wall_ms(wall));
    assert_eq!(back.expires_ms, Some(wall_ms(wall) + 60_000));
    assert_eq!(back.path, table.path(Some(0), &leg.duty.steps));
    assert_eq!(&*back.path.choices[0].current, "a");
    let failure = back.failure.unwrap();
    assert_eq!(
        (failure.error.reason, &*failure.error.detail),
        (Reason::Refused, "422 no")
    );
}

/// With as many attributes as a record can have, its note among them, and with one more.
#[tokio::test]
async fn an_event_with_more_attributes_than_a_reader_takes_is_refused() {
    let world = world();
    let with = |count: usize, own: bool| {
        let mut builder = event("1").edit();
        for number in 4..=count {
            builder.extension(&format!("a{number}"), "x");
        }
        if own {
            builder.extension(NAME, "mine");
        }
        let leg = leg(&world, builder.build().unwrap());
        put(&leg.event, &leg.duty, &KeyRule::Key, now())
    };
    for own in [false, true] {
        let record = with(ATTRIBUTES_MAX - 1, own).unwrap();
        assert_eq!(record.attributes().count(), ATTRIBUTES_MAX);
        assert_eq!(with(ATTRIBUTES_MAX, own).unwrap_err().reason, Reason::TooLarge);
    }
}

/// C19: the event's own word holds for whoever wrote it there.
#[tokio::test]
async fn a_record_that_is_not_ours_expires_when_it_says() {
    let mut builder = event("1").edit();
    let event = builder
        .extension("expirytime", "2026-01-31T08:00:00Z")
        .build()
        .unwrap();
    let back = take(event, now().1).unwrap();
    assert_eq!(back.expires_ms, time::parse("2026-01-31T08:00:00Z").map(wall_ms));
}

#[tokio::test]
async fn a_record_that_is_not_ours_is_an_event_like_any_other() {
    let wall = now().1;
    let back = take(keyed("1", "k"), wall).unwrap();
    assert_same(&back.event, &keyed("1", "k"));
    assert_eq!((&*back.route, back.stored_ms, back.tries), ("", wall_ms(wall), 0));
}

#[tokio::test]
async fn a_record_of_a_later_version_is_not_guessed_at() {
    let with = |text: &str| {
        let mut builder = event("1").edit();
        take(builder.extension(NAME, text).build().unwrap(), now().1)
    };
    assert_eq!(with("{\"v\":2,\"since\":17}").unwrap_err(), Unreadable::Later(2));
    for broken in [
        "",
        "{}",
        "{\"v\":1}",
        "[1]",
        "{\"v\":1,\"since\":\"yesterday\",\"stored\":\"x\"}",
    ] {
        assert!(
            matches!(with(broken).unwrap_err(), Unreadable::Broken(_)),
            "{broken}"
        );
    }
}

proptest! {
    /// C33: whoever may write into the topic may write this.
    #[test]
    fn no_text_there_panics(text in "[\\x20-\\x7e]{0,200}") {
        let mut builder = event("1").edit();
        if let Ok(event) = builder.extension(NAME, &text).build() {
            let _ = take(event, now().1);
        }
    }
}
