//! Marks beside a plain set, and what is made of metadata that is none.
#![allow(clippy::unwrap_used)]
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const ROOM: usize = 4096;

fn removed(next: i64, offsets: &[i64]) -> Marks {
    let mut marks = Marks::at(next);
    offsets.iter().for_each(|offset| marks.remove(*offset, *offset));
    marks
}

#[test]
fn the_committed_offset_is_the_lowest_that_has_not_left() {
    let mut marks = removed(10, &[12, 11, 14]);
    assert_eq!(
        (marks.next(), marks.write(ROOM).text.as_str()),
        (10, "weft1:1+2,1")
    );
    marks.remove(10, 10);
    assert_eq!((marks.next(), marks.write(ROOM).text.as_str()), (13, "weft1:1"));
    marks.remove(13, 13);
    assert_eq!((marks.next(), marks.write(ROOM).text.as_str()), (15, ""));
}

#[test]
fn offsets_without_a_letter_leave_with_the_letter_behind_them() {
    let mut marks = Marks::at(0);
    marks.remove(0, 1);
    marks.remove(2, 4);
    assert_eq!(marks, Marks::at(5));
    marks.remove(8, 9);
    marks.remove(6, 6);
    assert_eq!(marks.write(ROOM).text, "weft1:1,1+2");
}

#[test]
fn retention_takes_what_lies_below_and_no_more() {
    for (low, next, text) in [
        (0, 10, "weft1:2+3,5"),
        (11, 11, "weft1:1+3,5"),
        (13, 15, "weft1:5"),
        (15, 15, "weft1:5"),
        (20, 21, ""),
        (30, 30, ""),
    ] {
        let mut marks = removed(10, &[12, 13, 14, 20]);
        marks.raise(low);
        assert_eq!(
            (marks.next(), marks.write(ROOM).text.as_str()),
            (next, text),
            "{low}"
        );
    }
}

#[test]
fn what_does_not_fit_is_counted_and_the_longest_runs_are_kept() {
    let mut marks = Marks::at(0);
    for offset in (0..20_000).filter(|offset| offset % 2 == 1 || *offset > 19_000) {
        marks.remove(offset, offset);
    }
    let written = marks.write(ROOM);
    assert!(written.text.len() <= ROOM);
    let back = Marks::read(marks.next(), &written.text).unwrap();
    assert!(back.has_left(19_500), "the long run at the end is told");
    let told = (0..20_000).filter(|offset| back.has_left(*offset)).count();
    let left = (0..20_000).filter(|offset| marks.has_left(*offset)).count();
    assert_eq!(u64::try_from(left - told).unwrap(), written.forgotten);
    assert!(told > 2500, "{told}");
    let none = marks.write(0);
    assert_eq!(
        (none.text.as_str(), none.forgotten),
        ("", u64::try_from(left).unwrap())
    );
}

#[test]
fn memory_is_bounded_and_what_found_no_room_is_counted() {
    let mut marks = Marks::at(0);
    let most = i64::try_from(SPANS_MAX).unwrap();
    for n in 0..most + 10 {
        marks.remove(2 * n + 1, 2 * n + 1);
    }
    assert_eq!((marks.above.len(), marks.forgotten()), (SPANS_MAX, 10));
    assert!(!marks.has_left(2 * most + 1));
}

#[test]
fn metadata_of_another_shape_marks_nothing() {
    for text in [
        "weft2:5",
        "weft1",
        "weft1:",
        "weft1:5,",
        "weft1:,5",
        "weft1:0",
        "weft1:5+0",
        "weft1:-5",
        "weft1:5+-1",
        "weft1:+5",
        "weft1:5+",
        "weft1:5+5+5",
        "weft1: 5",
        "weft1:5 ",
        "weft1:٥",
        "weft1:9223372036854775807",
        "weft1:1+9223372036854775807",
        "weft1:99999999999999999999",
        "nothing of ours",
        "\0",
        "{}",
    ] {
        assert!(Marks::read(7, text).is_err(), "{text}");
    }
    assert_eq!(Marks::read(7, ""), Ok(Marks::at(7)));
}

proptest! {
    #[test]
    fn marks_agree_with_a_plain_set(
        base in 0i64..1000,
        ops in vec((0i64..200, 0i64..4, 0u8..20), 0..300),
    ) {
        let mut marks = Marks::at(base);
        let mut left: BTreeSet<i64> = BTreeSet::new();
        let mut low = base;
        for (at, gap, kind) in ops {
            let offset = base + at;
            if kind == 0 {
                marks.raise(offset);
                low = low.max(offset);
            } else if !(left.contains(&offset) || offset < low) {
                marks.remove(offset - gap, offset);
                left.extend((offset - gap).max(low)..=offset);
            }
        }
        let gone = |offset: i64| offset < low || left.contains(&offset);
        for offset in base - 5..base + 210 {
            prop_assert_eq!(marks.has_left(offset), gone(offset), "{}", offset);
            let next = (offset..).find(|offset| !gone(*offset)).unwrap();
            prop_assert_eq!(marks.next_left(offset), next);
        }
        prop_assert_eq!(marks.next(), (base..).find(|offset| !gone(*offset)).unwrap());
        let written = marks.write(ROOM);
        prop_assert_eq!(written.forgotten, 0);
        let back = Marks::read(marks.next(), &written.text).unwrap();
        for offset in base..base + 210 {
            prop_assert_eq!(back.has_left(offset), gone(offset));
        }
        prop_assert_eq!(back.end(), marks.end());
    }

    #[test]
    fn a_text_is_never_longer_than_its_room_and_tells_nothing_that_stays(
        offsets in vec(0i64..3000, 0..1500),
        room in 0usize..600,
    ) {
        let left: BTreeSet<i64> = offsets.iter().copied().collect();
        let marks = removed(0, &offsets);
        let written = marks.write(room);
        prop_assert!(written.text.len() <= room);
        let back = Marks::read(marks.next(), &written.text).unwrap();
        let told = (0..3000).filter(|offset| back.has_left(*offset)).count();
        prop_assert!((0..3000).all(|offset| !back.has_left(offset) || left.contains(&offset)));
        prop_assert_eq!(u64::try_from(left.len() - told).unwrap(), written.forgotten);
    }

    #[test]
    fn no_metadata_panics(next in 0i64..=i64::MAX, text in ".{0,60}", runs in "(weft1:)?[0-9+,]{0,60}") {
        for text in [text, runs] {
            if let Ok(marks) = Marks::read(next, &text) {
                prop_assert!(marks.end() >= next);
                prop_assert_eq!(Marks::read(next, &marks.write(ROOM).text).unwrap().end(), marks.end());
            }
        }
    }
}
