//! Units read what they print, and refuse what could be meant otherwise.
#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

fn duration(text: &str) -> Result<Duration, UnitError> {
    text.parse::<HumanDuration>().map(HumanDuration::get)
}

fn size(text: &str) -> Result<u64, UnitError> {
    text.parse::<ByteSize>().map(ByteSize::get)
}

#[test]
fn durations_are_read_as_people_write_them() {
    assert_eq!(duration("100ms"), Ok(Duration::from_millis(100)));
    assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5400)));
    assert_eq!(duration("7d"), Ok(Duration::from_secs(7 * 86_400)));
    assert_eq!(duration("0s"), Ok(Duration::ZERO));
}

#[test]
fn a_duration_without_a_unit_or_out_of_order_is_refused() {
    for text in [
        "10",
        "",
        "s",
        "1.5s",
        "-1s",
        "5m1h",
        "1s1s",
        "10 seconds",
        "never",
    ] {
        assert_eq!(duration(text), Err(UnitError::NotADuration), "{text}");
    }
    assert_eq!(duration("3651d"), Err(UnitError::DurationTooLong));
    assert_eq!(duration("99999999999999999999s"), Err(UnitError::DurationTooLong));
}

#[test]
fn sizes_know_binary_and_decimal_units() {
    assert_eq!(size("256MiB"), Ok(256 << 20));
    assert_eq!(size("1MB"), Ok(1_000_000));
    assert_eq!(size("64 KiB"), Ok(65_536));
    assert_eq!(size("17"), Ok(17));
    assert_eq!(size("1mib"), Err(UnitError::NotASize));
    assert_eq!(size("1KiB2"), Err(UnitError::NotASize));
    assert_eq!(size("16777216TiB"), Err(UnitError::SizeTooLarge));
}

#[test]
fn sizes_print_in_the_unit_that_fits() {
    assert_eq!(ByteSize(256 << 20).to_string(), "256MiB");
    assert_eq!(ByteSize(1_000_000).to_string(), "1MB");
    assert_eq!(ByteSize(1025).to_string(), "1025");
    assert_eq!(ByteSize(0).to_string(), "0");
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(nanos in 0u64..=300_000_000_000_000_000, bytes: u64) {
        let time = HumanDuration(Duration::from_nanos(nanos));
        prop_assert_eq!(time.to_string().parse::<HumanDuration>(), Ok(time));
        let size = ByteSize(bytes);
        prop_assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
    }

    #[test]
    fn no_text_panics(text in ".{0,80}") {
        let _ = duration(&text);
        let _ = size(&text);
    }
}
