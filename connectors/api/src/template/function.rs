//! The closed list of functions. Each is pure and takes text to text.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use super::Why;
use crate::event::time::civil_from_days;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Function {
    Int,
    Round,
    EpochS,
    EpochMs,
    Lower,
    Sha256,
}

impl Function {
    /// The list, for look-ups and errors.
    pub(super) const ALL: [(&'static str, Function); 6] = [
        ("int", Function::Int),
        ("round", Function::Round),
        ("epoch_s", Function::EpochS),
        ("epoch_ms", Function::EpochMs),
        ("lower", Function::Lower),
        ("sha256", Function::Sha256),
    ];

    pub(super) fn by_name(name: &str) -> Option<Function> {
        Function::ALL
            .into_iter()
            .find(|(known, _)| *known == name)
            .map(|(_, function)| function)
    }

    /// Whether what it gives is an Integer of CloudEvents.
    pub(super) fn makes_integer(self) -> bool {
        matches!(self, Function::Int | Function::Round)
    }

    pub(super) fn apply(self, value: Cow<'_, str>) -> Result<Cow<'_, str>, Why> {
        let made = match self {
            Function::Int => number(&value)
                .filter(|number| number.fract() == 0.0)
                .and_then(integer)
                .ok_or(Why::NotInteger)?,
            Function::Round => number(&value)
                .map(f64::round)
                .and_then(integer)
                .ok_or(Why::NotInteger)?,
            Function::EpochS => epoch(&value, 1_000_000_000).ok_or(Why::NotEpoch)?,
            Function::EpochMs => epoch(&value, 1_000_000).ok_or(Why::NotEpoch)?,
            Function::Lower => value.to_lowercase(),
            Function::Sha256 => Sha256::digest(value.as_bytes())
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        };
        Ok(Cow::Owned(made))
    }
}

/// A decimal number, without the words that Rust would take for one (`inf`, `nan`).
fn number(text: &str) -> Option<f64> {
    let decimal = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    text.parse()
        .ok()
        .filter(|number: &f64| decimal && number.is_finite())
}

/// The whole number as canonical text, if it has 32 bits.
fn integer(number: f64) -> Option<String> {
    // Exact: the bounds of i32 and all whole numbers between them are f64.
    let within = (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number);
    within.then(|| (number as i32).to_string())
}

/// An RFC 3339 timestamp in UTC from a decimal count of `unit` nanoseconds since 1970; no more digits than it
/// needs.
fn epoch(text: &str, unit: i128) -> Option<String> {
    const SECOND: i128 = 1_000_000_000;
    const DAY: i128 = 86_400;
    let nanos = decimal(text, unit)?;
    let (seconds, nanos) = (nanos.div_euclid(SECOND), nanos.rem_euclid(SECOND));
    let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(i64::try_from(days).ok()?);
    if !(0..=9999).contains(&year) {
        return None;
    }
    let clock = format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60);
    let fraction = if nanos == 0 {
        String::new()
    } else {
        format!(".{nanos:09}")
    };
    let fraction = fraction.trim_end_matches('0');
    Some(format!("{year:04}-{month:02}-{day:02}T{clock}{fraction}Z"))
}

/// The decimal times `unit`, cut to a whole number; at most 18 digits before the point.
fn decimal(text: &str, unit: i128) -> Option<i128> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let holds = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !holds(whole) || !holds(fraction) || whole.len() > 18 {
        return None;
    }
    let mut value = whole.parse::<i128>().ok()? * unit;
    let mut place = unit;
    for digit in fraction.bytes() {
        place /= 10;
        value += i128::from(digit - b'0') * place;
    }
    Some(sign * value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn apply(function: Function, text: &str) -> Option<String> {
        function.apply(Cow::Borrowed(text)).ok().map(Cow::into_owned)
    }

    #[test]
    fn int_takes_whole_numbers_of_32_bits() {
        for (text, made) in [
            ("5", Some("5")),
            ("-5.0", Some("-5")),
            ("1e3", Some("1000")),
            ("-0", Some("0")),
            ("007", Some("7")),
            ("2147483647", Some("2147483647")),
            ("-2147483648", Some("-2147483648")),
            ("2147483648", None),
            ("5.5", None),
            ("", None),
            ("inf", None),
            ("NaN", None),
            ("1e999", None),
            ("five", None),
        ] {
            assert_eq!(apply(Function::Int, text).as_deref(), made, "{text}");
        }
    }

    #[test]
    fn round_goes_to_the_nearest_and_halves_away_from_zero() {
        for (text, made) in [
            ("2.5", Some("3")),
            ("-2.5", Some("-3")),
            ("2.4999", Some("2")),
            ("7", Some("7")),
            ("-0.2", Some("0")),
            ("3e9", None),
        ] {
            assert_eq!(apply(Function::Round, text).as_deref(), made, "{text}");
        }
    }

    #[test]
    fn epochs_become_timestamps_in_utc() {
        for (function, text, made) in [
            (Function::EpochS, "0", Some("1970-01-01T00:00:00Z")),
            (Function::EpochS, "1709251199", Some("2024-02-29T23:59:59Z")),
            (Function::EpochS, "1709251199.25", Some("2024-02-29T23:59:59.25Z")),
            (
                Function::EpochMs,
                "1709251199250",
                Some("2024-02-29T23:59:59.25Z"),
            ),
            (Function::EpochMs, "-1", Some("1969-12-31T23:59:59.999Z")),
            (Function::EpochS, "-0.5", Some("1969-12-31T23:59:59.5Z")),
            (Function::EpochS, "-62167219200", Some("0000-01-01T00:00:00Z")),
            (Function::EpochS, "-62167219201", None),
            (Function::EpochS, "253402300799", Some("9999-12-31T23:59:59Z")),
            (Function::EpochS, "253402300800", None),
            (Function::EpochS, "9999999999999999999", None),
            (Function::EpochS, "1.", None),
            (Function::EpochS, "1e3", None),
            (Function::EpochS, "", None),
        ] {
            assert_eq!(apply(function, text).as_deref(), made, "{text}");
        }
    }

    #[test]
    fn lower_and_sha256() {
        assert_eq!(
            apply(Function::Lower, "PLANT-\u{c9}").as_deref(),
            Some("plant-\u{e9}")
        );
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(apply(Function::Sha256, "").as_deref(), Some(empty));
    }

    proptest! {
        #[test]
        fn no_function_panics(text in any::<String>(), number in "-?[0-9]{0,20}\\.?[0-9]{0,20}") {
            for (_, function) in Function::ALL {
                let _ = apply(function, &text);
                let _ = apply(function, &number);
            }
        }

        #[test]
        fn an_epoch_is_a_valid_time(seconds in -62_167_219_200i64..253_402_300_800) {
            let made = apply(Function::EpochS, &seconds.to_string()).unwrap_or_default();
            let event = crate::event::EventBuilder::new().id("1").source("/").ty("t").time(&made).build();
            prop_assert!(event.is_ok(), "{}", made);
        }
    }
}
