//! RFC 3339 section 5.6, as a check only: the text is kept, with its offset and fraction.

/// Whether the text is a `date-time`: day of month, offset and leap second are checked, too.
pub(super) fn is_rfc3339(text: &str) -> bool {
    check(text.as_bytes()).is_some()
}

fn check(text: &[u8]) -> Option<()> {
    let (
        &[
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
            separator,
            h1,
            h2,
            b':',
            m1,
            m2,
            b':',
            s1,
            s2,
        ],
        rest,
    ) = text.split_first_chunk::<19>()?
    else {
        return None;
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(o1, o2)?, two(d1, d2)?);
    let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
    let last_day = days(year, month)?;
    let offset = offset(fraction(rest)?)?;
    let plain = matches!(separator, b'T' | b't') && (1..=last_day).contains(&day) && hour < 24 && minute < 60;
    let seconds = second < 60 || second == 60 && leap(day, last_day, hour * 60 + minute - offset);
    (plain && seconds).then_some(())
}

/// A leap second is the last one of a month in UTC. `minutes` counts from the local day's start, in UTC.
fn leap(day: i32, last_day: i32, minutes: i32) -> bool {
    const DAY: i32 = 24 * 60;
    if minutes.rem_euclid(DAY) != DAY - 1 {
        return false;
    }
    // An offset is less than a day, so that no local time is in the UTC minute 23:59 of the day after.
    if minutes < 0 { day == 1 } else { day == last_day }
}

/// What follows the optional fraction of the seconds.
fn fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(digits) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (count > 0).then(|| &digits[count..])
}

/// Minutes east of UTC.
fn offset(text: &[u8]) -> Option<i32> {
    match *text {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let east = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if sign == b'+' { east } else { -east })
        }
        _ => None,
    }
}

fn two(tens: u8, ones: u8) -> Option<i32> {
    let both = tens.is_ascii_digit() && ones.is_ascii_digit();
    both.then(|| i32::from(tens - b'0') * 10 + i32::from(ones - b'0'))
}

fn days(year: i32, month: i32) -> Option<i32> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => Some(31),
        4 | 6 | 9 | 11 => Some(30),
        2 if leap => Some(29),
        2 => Some(28),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_of_rfc_3339_are_taken_with_any_offset_and_fraction() {
        for good in [
            "2018-04-05T17:31:00Z",
            "2018-04-05t17:31:00z",
            "1985-04-12T23:20:50.52Z",
            "1996-12-19T16:39:57-08:00",
            "1937-01-01T12:00:27.87+00:20",
            "2024-02-29T00:00:00.123456789012345678901234567890Z",
            "2000-02-29T00:00:00-00:00",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59+23:59",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for bad in [
            "",
            "2018-04-05",
            "2018-04-05T17:31:00",
            "2018-04-05 17:31:00Z",
            "2018-04-05T17:31Z",
            "2018-04-05T17:31:00.Z",
            "2018-04-05T17:31:00Z ",
            "2018-04-05T17:31:00+0100",
            "2018-04-05T17:31:00+24:00",
            "2018-04-05T17:31:00+01:60",
            "2018-04-05T24:00:00Z",
            "2018-04-05T17:60:00Z",
            "2018-04-31T17:31:00Z",
            "2018-13-01T17:31:00Z",
            "2018-00-01T17:31:00Z",
            "2018-01-00T17:31:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "18-04-05T17:31:00Z",
            "2018-04-05T17:31:61Z",
            "\u{662}018-04-05T17:31:00Z",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }

    #[test]
    fn a_leap_second_ends_a_month_in_utc() {
        for good in [
            "1990-12-31T23:59:60Z",
            "1990-12-31T15:59:60-08:00",
            "1991-01-01T00:59:60+01:00",
            "2016-12-31T23:59:60.5Z",
        ] {
            assert!(is_rfc3339(good), "{good}");
        }
        for bad in [
            "1990-12-30T23:59:60Z",
            "1990-12-31T23:58:60Z",
            "1990-12-31T23:59:60+01:00",
            "2017-01-02T00:59:60+01:00",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }
}
