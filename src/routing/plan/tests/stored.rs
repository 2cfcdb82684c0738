//! Plans with logs in them: who takes an event when, and where a record belongs.

use super::*;

/// Destinations 0 and 1, each behind a log of its own with the same number.
fn two_logs(plans: &mut Plans) -> [NodeId; 2] {
    [0, 1].map(|id| stored(plans, id, id.into()))
}

fn stored(plans: &mut Plans, log: u16, inner: NodeId) -> NodeId {
    plans.add(Node::Stored(Stored {
        log: LogId(log),
        inner: Some(inner),
        full_moves: false,
        ending: false,
    }))
}

fn target(plans: &Plans, node: NodeId, view: &Living, held: bool) -> Target {
    let asker = Asker {
        held,
        ..asker(&NO_KEY, view)
    };
    plans.descend(node, asker, &mut Steps::new())
}

fn view(down: &[u16], logs: &[(u16, LogView)]) -> Living {
    Living {
        down: down.to_vec(),
        logs: logs.iter().copied().collect(),
        ..Living::default()
    }
}

const BACKLOG: LogView = LogView { pending: 5, ..EMPTY };
const FULL: LogView = LogView {
    full: true,
    ..BACKLOG
};
const FAILED: LogView = LogView {
    failed: true,
    ..EMPTY
};
const IN_LOG: [Target; 2] = [Target::Log(LogId(0)), Target::Log(LogId(1))];
const TO: [Target; 2] = [Target::To(DestId(0)), Target::To(DestId(1))];

#[test]
fn what_comes_goes_into_the_log_whether_the_destination_is_there_or_not() {
    let mut plans = plans(2);
    let [a, _] = two_logs(&mut plans);
    for down in [&[][..], &[0]] {
        assert_eq!(target(&plans, a, &view(down, &[]), false), IN_LOG[0]);
    }
}

#[test]
fn a_leg_that_a_log_has_needs_no_second_log_unless_a_backlog_is_ahead() {
    let mut plans = plans(2);
    let [a, _] = two_logs(&mut plans);
    assert_eq!(target(&plans, a, &view(&[], &[]), true), TO[0]);
    assert_eq!(target(&plans, a, &view(&[], &[(0, BACKLOG)]), true), IN_LOG[0]);
    assert_eq!(target(&plans, a, &view(&[0], &[]), true), IN_LOG[0]);
}

#[test]
fn a_fallback_goes_on_as_without_a_store_and_the_first_log_takes_it_when_all_are_down() {
    let mut plans = plans(3);
    let [a, b] = two_logs(&mut plans);
    let group = first(&mut plans, &[a, b, 2], FallbackOn::default());
    assert_eq!(target(&plans, group, &view(&[], &[]), false), IN_LOG[0]);
    assert_eq!(target(&plans, group, &view(&[0], &[]), false), IN_LOG[1]);
    assert_eq!(
        target(&plans, group, &view(&[0, 1], &[]), false),
        Target::To(DestId(2))
    );
    assert_eq!(target(&plans, group, &view(&[0, 1, 2], &[]), false), IN_LOG[0]);
    let failed = view(
        &[0, 1, 2],
        &[(
            0,
            LogView {
                failed: true,
                ..BACKLOG
            },
        )],
    );
    assert_eq!(target(&plans, group, &failed, false), IN_LOG[1]);
}

#[test]
fn an_anycast_whose_members_are_all_down_chooses_one_that_keeps_the_event() {
    let mut plans = plans(3);
    let [_, b] = two_logs(&mut plans);
    let group = any(&mut plans, &[(0, 1), (b, 1), (2, 1)], Policy::RoundRobin, false);
    for _ in 0..6 {
        assert_eq!(target(&plans, group, &view(&[0, 1, 2], &[]), false), IN_LOG[1]);
    }
}

#[test]
fn a_full_log_moves_only_where_the_file_says_so() {
    let mut plans = plans(2);
    let [a, b] = two_logs(&mut plans);
    let moving = plans.add(Node::Stored(Stored {
        log: LogId(0),
        inner: Some(0),
        full_moves: true,
        ending: false,
    }));
    let blocks = first(&mut plans, &[a, b], FallbackOn::default());
    let moves = first(&mut plans, &[moving, b], FallbackOn::default());
    let full = view(&[], &[(0, FULL)]);
    assert_eq!(target(&plans, blocks, &full, false), IN_LOG[0]);
    assert_eq!(target(&plans, moves, &full, false), IN_LOG[1]);
}

/// C26: nothing comes into a log that failed; once it is empty it is not in the way.
#[test]
fn a_log_that_failed_is_passed_by_once_it_is_empty() {
    let mut plans = plans(2);
    let [a, _] = two_logs(&mut plans);
    assert_eq!(target(&plans, a, &view(&[], &[(0, FAILED)]), false), TO[0]);
    assert_eq!(target(&plans, a, &view(&[0], &[(0, FAILED)]), false), TO[0]);
    let draining = LogView {
        failed: true,
        ..BACKLOG
    };
    assert_eq!(target(&plans, a, &view(&[], &[(0, draining)]), false), IN_LOG[0]);
}

#[test]
fn a_log_that_the_file_lost_takes_what_comes_until_it_is_empty() {
    let mut plans = plans(1);
    let ending = plans.add(Node::Stored(Stored {
        log: LogId(0),
        inner: Some(0),
        full_moves: false,
        ending: true,
    }));
    assert_eq!(
        target(&plans, ending, &view(&[], &[(0, BACKLOG)]), false),
        IN_LOG[0]
    );
    assert_eq!(target(&plans, ending, &view(&[], &[]), false), TO[0]);
}

#[test]
fn a_path_leads_to_the_same_members_in_another_table() {
    let mut old = plans(3);
    let [a, b] = two_logs(&mut old);
    for (name, node) in [("a", a), ("b", b), ("c", 2)] {
        old.name(name.into(), node);
    }
    let inner = first(&mut old, &[a, b], FallbackOn::default());
    let group = any(&mut old, &[(2, 1), (inner, 1)], Policy::RoundRobin, false);
    old.name("group".into(), group);
    let step = |node, current, tried| Step { node, current, tried };
    let path = old.path(&[step(group, 1, 0), step(inner, 1, 1)]);
    assert_eq!(
        (&*path.root, &*path.choices[0].current, &*path.choices[1].current),
        ("group", "@1", "b")
    );
    assert_eq!(
        old.resolve(group, &path),
        Some((Steps::from_vec(vec![step(group, 1, 0), step(inner, 1, 1)]), b))
    );

    let mut new = plans(4);
    let stored_b = stored(&mut new, 0, 3);
    let stored_a = stored(&mut new, 1, 1);
    for (name, node) in [("a", stored_a), ("b", stored_b), ("c", 2)] {
        new.name(name.into(), node);
    }
    let inner = first(&mut new, &[stored_b, stored_a], FallbackOn::default());
    let group = any(&mut new, &[(2, 1), (inner, 1)], Policy::RoundRobin, false);
    let (steps, end) = new.resolve(group, &path).unwrap();
    assert_eq!((end, steps[1]), (stored_b, step(inner, 0, 0b10)));

    let gone = first(&mut new, &[stored_a], FallbackOn::default());
    assert_eq!(new.resolve(gone, &path), None);
}
