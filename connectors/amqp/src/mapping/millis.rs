//! Timestamps: AMQP counts milliseconds since 1970, CloudEvents writes RFC 3339.
//!
//! Invariant: a text that [`exact`] takes is the text that [`Text`] gives back, byte for byte. Every other one (an
//! offset, microseconds, a fraction that is not three digits) travels as a string, so that nothing is lost.
//! Turned down: writing every time as a timestamp; `12:00:00+02:00` would come back as `10:00:00Z`, another attribute.

use std::time::{SystemTime, UNIX_EPOCH};

use weft_api::event::time::{civil_from_days, days_from_civil, parse};

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// 0000-01-01T00:00:00Z.
const FIRST: i64 = -62_167_219_200_000;
/// 9999-12-31T23:59:59.999Z.
const LAST: i64 = 253_402_300_799_999;

/// The milliseconds of a text that is written as [`Text`] writes them: in UTC, with `Z`, and three digits of fraction
/// where there are any milliseconds, none where there are not.
pub(crate) fn exact(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let (head, tail) = bytes.split_first_chunk::<19>()?;
    let millis = match tail {
        b"Z" => 0,
        [b'.', a, b, c, b'Z'] => digits(&[*a, *b, *c]).filter(|ms| *ms > 0)?,
        _ => return None,
    };
    let [
        y1,
        y2,
        y3,
        y4,
        b'-',
        o1,
        o2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        m1,
        m2,
        b':',
        s1,
        s2,
    ] = *head
    else {
        return None;
    };
    let (year, month, day) = (digits(&[y1, y2, y3, y4])?, digits(&[o1, o2])?, digits(&[d1, d2])?);
    let (hour, minute, second) = (digits(&[h1, h2])?, digits(&[m1, m2])?, digits(&[s1, s2])?);
    // A leap second is not a time of its own in AMQP.
    if hour > 23 || minute > 59 || second > 59 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let days = days_from_civil(year, month, day);
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY + (hour * 3600 + minute * 60 + second) * 1000 + millis)
}

/// The milliseconds since 1970 of any RFC 3339 text, cut to whole ones.
pub(crate) fn near(text: &str) -> Option<i64> {
    exact(text).or_else(|| parse(text).and_then(of))
}

/// The milliseconds since 1970 of a moment.
pub(crate) fn of(at: SystemTime) -> Option<i64> {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).ok(),
        Err(before) => i64::try_from(before.duration().as_millis()).ok().map(|ms| -ms),
    }
}

/// A timestamp as RFC 3339 text, without an allocation.
pub(crate) struct Text {
    room: [u8; 24],
    length: usize,
}

impl Text {
    /// `None` for a moment outside of the years 0 to 9999, which RFC 3339 cannot write.
    pub(crate) fn of(ms: i64) -> Option<Text> {
        if !(FIRST..=LAST).contains(&ms) {
            return None;
        }
        let (year, month, day) = civil_from_days(ms.div_euclid(DAY));
        let of_day = ms.rem_euclid(DAY);
        let (seconds, millis) = (of_day / 1000, of_day % 1000);
        let mut text = Text {
            room: *b"0000-00-00T00:00:00.000Z",
            length: 24,
        };
        for (at, width, value) in [
            (0, 4, year),
            (5, 2, month),
            (8, 2, day),
            (11, 2, seconds / 3600),
            (14, 2, seconds / 60 % 60),
            (17, 2, seconds % 60),
            (20, 3, millis),
        ] {
            put(&mut text.room[at..at + width], value);
        }
        if millis == 0 {
            text.room[19] = b'Z';
            text.length = 20;
        }
        Some(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.room[..self.length]).unwrap_or_default()
    }
}

fn put(place: &mut [u8], mut value: i64) {
    for digit in place.iter_mut().rev() {
        // One decimal digit.
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |sum, digit| {
        digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_exact_text_comes_back_byte_for_byte() {
        for text in [
            "2018-04-05T17:31:00Z",
            "2018-04-05T17:31:00.250Z",
            "1969-12-31T23:59:59.999Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59.999Z",
            "2024-02-29T00:00:00.001Z",
        ] {
            let ms = exact(text).unwrap();
            assert_eq!(Text::of(ms).unwrap().as_str(), text);
            assert_eq!(parse(text).and_then(of), Some(ms), "{text}");
        }
    }

    #[test]
    fn what_milliseconds_in_utc_cannot_say_is_not_exact() {
        for text in [
            "2018-04-05T17:31:00.000Z",
            "2018-04-05T17:31:00.25Z",
            "2018-04-05T17:31:00.250000Z",
            "2018-04-05T17:31:00+00:00",
            "2018-04-05T17:31:00z",
            "2018-04-05t17:31:00Z",
            "2016-12-31T23:59:60Z",
            "2023-02-29T00:00:00Z",
            "2023-13-01T00:00:00Z",
            "",
            "yesterday",
        ] {
            assert_eq!(exact(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_that_no_year_of_four_digits_has_have_no_text() {
        for ms in [i64::MIN, FIRST - 1, LAST + 1, i64::MAX] {
            assert!(Text::of(ms).is_none(), "{ms}");
        }
        assert_eq!(Text::of(0).unwrap().as_str(), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn the_nearest_millisecond_of_any_text_is_known() {
        assert_eq!(near("1970-01-01T01:00:00.0019+01:00"), Some(1));
        assert_eq!(near("no time"), None);
    }
}
