//! Durations and sizes as people write them: `1h30m`, `256MiB`.
//!
//! Both print what they would read, so that a file that Weft writes says the same as the one that it read.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// Longest duration that is taken: ten years. Beyond it clock arithmetic could overflow.
pub const DURATION_MAX: Duration = Duration::from_secs(3650 * 24 * 3600);

/// Longest text that is read as a number with units.
const TEXT_MAX: usize = 64;

/// Units of time with their length in nanoseconds, longest first.
const TIME_UNITS: [(&str, u64); 7] = [
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// Units of size; printing prefers the earlier ones.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// A length of time: whole numbers with units `d h m s ms us ns`, longest unit first (`1h30m`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct HumanDuration(pub Duration);

/// A number of bytes: a whole number, or one with a unit (`64KiB`, `1MB`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ByteSize(pub u64);

/// Why a text is no duration or size; says what would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UnitError {
    /// Not number-unit pairs.
    #[error("expected a duration such as 10s, 100ms, 5m or 1h30m")]
    NotADuration,
    /// Longer than [`DURATION_MAX`].
    #[error("expected a duration of at most 3650d")]
    DurationTooLong,
    /// Not a number with a unit.
    #[error("expected a size in bytes such as 64KiB, 256MiB or 65536")]
    NotASize,
    /// Does not fit 64 bits.
    #[error("expected a size below 16777216TiB")]
    SizeTooLarge,
}

impl HumanDuration {
    /// From whole seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> HumanDuration {
        HumanDuration(Duration::from_secs(secs))
    }

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> HumanDuration {
        HumanDuration(Duration::from_millis(millis))
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl ByteSize {
    /// In bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// In bytes, as far as this machine can address.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl From<HumanDuration> for Duration {
    fn from(duration: HumanDuration) -> Duration {
        duration.0
    }
}

impl From<Duration> for HumanDuration {
    fn from(duration: Duration) -> HumanDuration {
        HumanDuration(duration)
    }
}

impl From<ByteSize> for u64 {
    fn from(size: ByteSize) -> u64 {
        size.0
    }
}

impl From<u64> for ByteSize {
    fn from(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }
}

impl FromStr for HumanDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<HumanDuration, UnitError> {
        let mut rest = text.trim();
        if rest.is_empty() || rest.len() > TEXT_MAX {
            return Err(UnitError::NotADuration);
        }
        let mut total: u128 = 0;
        let mut smaller_than = u64::MAX;
        while !rest.is_empty() {
            let (number, unit, after) = pair(rest).ok_or(UnitError::NotADuration)?;
            let length = unit_of(&TIME_UNITS, unit).ok_or(UnitError::NotADuration)?;
            // Descending units keep "5m1h" and "1s1s" out: both are slips more often than meant.
            if length >= smaller_than {
                return Err(UnitError::NotADuration);
            }
            smaller_than = length;
            let number: u64 = number.parse().map_err(|_| UnitError::DurationTooLong)?;
            total += u128::from(number) * u128::from(length);
            rest = after;
        }
        if total > DURATION_MAX.as_nanos() {
            return Err(UnitError::DurationTooLong);
        }
        let nanos = u64::try_from(total).map_err(|_| UnitError::DurationTooLong)?;
        Ok(HumanDuration(Duration::from_nanos(nanos)))
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<ByteSize, UnitError> {
        let text = text.trim();
        if text.is_empty() || text.len() > TEXT_MAX {
            return Err(UnitError::NotASize);
        }
        let (number, unit, after) = pair(text).ok_or(UnitError::NotASize)?;
        if !after.is_empty() {
            return Err(UnitError::NotASize);
        }
        let factor = match unit {
            "" => 1,
            "KB" => 1_000,
            unit => unit_of(&SIZE_UNITS, unit).ok_or(UnitError::NotASize)?,
        };
        let number: u64 = number.parse().map_err(|_| UnitError::SizeTooLarge)?;
        number
            .checked_mul(factor)
            .map(ByteSize)
            .ok_or(UnitError::SizeTooLarge)
    }
}

/// Splits off a number and its unit; a blank may stand between them.
fn pair(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let rest = rest.trim_start();
    let letters = rest
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    (!number.is_empty()).then(|| (number, unit, rest.trim_start()))
}

fn unit_of(units: &[(&str, u64)], name: &str) -> Option<u64> {
    units
        .iter()
        .find(|(unit, _)| *unit == name)
        .map(|(_, length)| *length)
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, length) in TIME_UNITS {
            // Days are read, never written: 24h is what the documentation says everywhere.
            if unit == "d" {
                continue;
            }
            let count = rest / u128::from(length);
            if count > 0 {
                write!(f, "{count}{unit}")?;
                rest %= u128::from(length);
            }
        }
        Ok(())
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SIZE_UNITS
            .iter()
            .find(|(_, factor)| *factor > 1 && self.0 > 0 && self.0.is_multiple_of(*factor))
        {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Serialize for HumanDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HumanDuration, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = HumanDuration;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as 10s, 100ms, 5m or 1h30m")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<HumanDuration, E> {
                text.parse().map_err(|error| match error {
                    UnitError::NotADuration => E::invalid_value(de::Unexpected::Str(text), &self),
                    error => E::custom(error),
                })
            }
        }
        deserializer.deserialize_str(Read)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ByteSize, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size in bytes such as 64KiB, 256MiB or 65536")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(|error| match error {
                    UnitError::NotASize => E::invalid_value(de::Unexpected::Str(text), &self),
                    error => E::custom(error),
                })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "Whole numbers with units d, h, m, s, ms, us or ns, longest unit first: 100ms, 10s, 1h30m.",
            "pattern": "^([0-9]+(d|h|m|s|ms|us|ns))+$|\\$\\{",
        })
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "description": "Bytes, or a whole number with a unit: 65536, 64KiB, 256MiB, 1MB.",
            "minimum": 0,
            "pattern": "^[0-9]+ ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$|\\$\\{",
        })
    }
}

#[cfg(test)]
mod tests;
