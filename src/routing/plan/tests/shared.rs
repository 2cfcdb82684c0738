//! Plans with logs in them that routers share.

use super::*;

/// Destination `inner` behind the log that destination `log` writes into.
fn shared(plans: &mut Plans, log: u16, inner: NodeId) -> NodeId {
    plans.add(Node::Shared(Shared {
        log: DestId(log),
        inner,
    }))
}

fn target(plans: &Plans, node: NodeId, down: &[u16], held: bool) -> Target {
    let view = Living {
        down: down.to_vec(),
        ..Living::default()
    };
    let asker = Asker {
        held,
        ..asker(&NO_KEY, &view)
    };
    plans.descend(node, asker, &mut Steps::new())
}

const TO: fn(u16) -> Target = |id| Target::To(DestId(id));

#[test]
fn what_comes_goes_into_the_log_whether_the_destination_is_there_or_not() {
    let mut plans = plans(2);
    let node = shared(&mut plans, 1, 0);
    for down in [&[][..], &[0], &[1], &[0, 1]] {
        assert_eq!(target(&plans, node, down, false), TO(1), "{down:?}");
    }
}

/// C20: what stands in it came before, and nobody here knows whether anything does.
#[test]
fn what_another_log_has_goes_into_it_all_the_same() {
    let mut plans = plans(2);
    let node = shared(&mut plans, 1, 0);
    for down in [&[][..], &[0], &[1]] {
        assert_eq!(target(&plans, node, down, true), TO(1), "{down:?}");
    }
}

/// C16: as with a log of this router's.
#[test]
fn a_fallback_goes_on_as_without_a_store_and_the_first_log_takes_it_when_all_are_down() {
    let mut plans = plans(4);
    let (a, b) = (shared(&mut plans, 2, 0), shared(&mut plans, 3, 1));
    let group = first(&mut plans, &[a, b], FallbackOn::default());
    for (down, goes) in [
        (&[][..], 2),
        (&[0], 3),
        (&[2], 3),
        (&[0, 1], 2),
        (&[0, 1, 2], 3),
        (&[2, 3], 2),
    ] {
        assert_eq!(target(&plans, group, down, false), TO(goes), "{down:?}");
    }
}

#[test]
fn a_log_is_no_destination_and_is_full_when_its_writer_is() {
    let mut plans = plans(2);
    let node = shared(&mut plans, 1, 0);
    assert_eq!(plans.destinations(node), [DestId(0)]);
    let full = |at: u16| move |place| place == Bounded::To(DestId(at));
    assert!(plans.is_full(node, &full(1)) && !plans.is_full(node, &full(0)));
}
