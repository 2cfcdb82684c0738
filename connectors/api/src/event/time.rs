//! Timestamps between their text (RFC 3339) and the system's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::attr::AttrKind;
use super::rules;

const SECONDS_A_DAY: i64 = 86_400;

/// The moment that an RFC 3339 timestamp names; `None` where it is none. A leap second is the second after it.
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    if rules::value(AttrKind::Timestamp, text, false).is_err() {
        return None;
    }
    // The check above fixes the shape: every number stands where it is read.
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let rest = &text[19..];
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let nanos = rest[..zone_at]
        .trim_start_matches('.')
        .chars()
        .chain("000000000".chars())
        .take(9);
    let nanos: u32 = nanos.collect::<String>().parse().ok()?;
    let seconds = days_from_civil(year, month, day) * SECONDS_A_DAY + hour * 3600 + minute * 60 + second
        - offset_seconds(&rest[zone_at..])?;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)
    } else {
        UNIX_EPOCH.checked_add(whole)
    };
    moment?.checked_add(Duration::from_nanos(u64::from(nanos)))
}

/// The moment as an RFC 3339 timestamp in UTC, to the millisecond. Moments before 1970 or after 9999 are cut to those.
#[must_use]
pub fn format(at: SystemTime) -> String {
    const LAST: i64 = 253_402_300_799;
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(LAST).min(LAST);
    let (year, month, day) = civil_from_days(seconds.div_euclid(SECONDS_A_DAY));
    let of_day = seconds.rem_euclid(SECONDS_A_DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        since.subsec_millis()
    )
}

fn offset_seconds(zone: &str) -> Option<i64> {
    let (sign, digits) = match zone.as_bytes().first()? {
        b'+' => (1, &zone[1..]),
        b'-' => (-1, &zone[1..]),
        _ => return Some(0),
    };
    let (hours, minutes) = digits.split_once(':')?;
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar; years start in March, so that the leap day comes last.
#[must_use]
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day that many days after 1970-01-01, in the same calendar.
#[must_use]
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_fractions_name_the_same_moment() {
        let utc = parse("2018-04-05T17:31:00.25Z").unwrap();
        assert_eq!(parse("2018-04-05T19:31:00.250+02:00"), Some(utc));
        assert_eq!(parse("2018-04-05T12:01:00.2500000-05:30"), Some(utc));
        assert_eq!(
            utc.duration_since(UNIX_EPOCH).unwrap(),
            Duration::from_millis(1_522_949_460_250)
        );
    }

    #[test]
    fn every_day_of_four_centuries_comes_back_from_its_text() {
        for day in (0..146_097u64).step_by(13) {
            let at = UNIX_EPOCH + Duration::from_millis(day * 86_400_000 + 3_723_004);
            assert_eq!(parse(&format(at)), Some(at), "{}", format(at));
        }
    }

    #[test]
    fn moments_before_1970_are_read() {
        let at = parse("1969-12-31T23:59:59.5Z").unwrap();
        assert_eq!(UNIX_EPOCH.duration_since(at).unwrap(), Duration::from_millis(500));
    }

    #[test]
    fn what_is_no_timestamp_has_no_moment() {
        for text in [
            "",
            "yesterday",
            "2018-02-30T00:00:00Z",
            "2018-04-05 17:31",
            "2018-04-05T17:31:00",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
