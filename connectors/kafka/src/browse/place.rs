//! A record's place as one number, and as a person reads it.
//!
//! Owns: `partition << 40 | offset`, and `PARTITION/OFFSET`.
//! Invariants: places ascend as records are read, partition by partition; a place is below 2^53, so that it comes through
//! JSON as it is; a partition or an offset that does not fit is no place, and never another one.

/// Bits of the offset.
const OFFSET_BITS: u32 = 40;
/// Bits of a place; a number of JSON holds no more.
const PLACE_BITS: u32 = 53;
/// The first offset that has no place.
pub(super) const OFFSET_END: i64 = 1 << OFFSET_BITS;
/// The first partition that has no place.
pub(super) const PARTITION_END: i32 = 1 << (PLACE_BITS - OFFSET_BITS);

/// The place of a record; `None` where it does not fit.
pub(super) fn of(partition: i32, offset: i64) -> Option<u64> {
    let fits = (0..PARTITION_END).contains(&partition) && (0..OFFSET_END).contains(&offset);
    let (partition, offset) = (u64::try_from(partition).ok()?, u64::try_from(offset).ok()?);
    fits.then_some(partition << OFFSET_BITS | offset)
}

/// The partition and the offset; a number that is the place of no record names a partition that no topic has.
pub(super) fn split(place: u64) -> (i32, i64) {
    let offset = place & ((1 << OFFSET_BITS) - 1);
    let partition = i32::try_from(place >> OFFSET_BITS).unwrap_or(i32::MAX);
    (partition, i64::try_from(offset).unwrap_or(i64::MAX))
}

/// `PARTITION/OFFSET`.
pub(super) fn write(place: u64) -> String {
    let (partition, offset) = split(place);
    format!("{partition}/{offset}")
}

/// The place that a person wrote.
///
/// # Errors
/// What to write instead.
pub(super) fn read(text: &str) -> Result<u64, String> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse::<i64>().ok()).flatten()
    };
    text.split_once('/')
        .and_then(|(partition, offset)| Some((number(partition)?, number(offset)?)))
        .and_then(|(partition, offset)| of(i32::try_from(partition).ok()?, offset))
        .ok_or_else(|| {
            let shown: String = text.escape_default().take(40).collect();
            format!(
                "`{shown}` is no place in a kafka topic: write PARTITION/OFFSET, such as 3/1042, or choose by the event's id or another filter"
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_ascends_by_partition_and_offset() {
        let all = [
            (0, 0),
            (0, 1),
            (0, OFFSET_END - 1),
            (1, 0),
            (PARTITION_END - 1, OFFSET_END - 1),
        ];
        let mut last = None;
        for (partition, offset) in all {
            let place = of(partition, offset);
            assert!(place > last, "{partition}/{offset}");
            let number = place.unwrap_or_default();
            assert!(number < 1 << PLACE_BITS);
            assert_eq!(split(number), (partition, offset));
            assert_eq!(write(number), format!("{partition}/{offset}"));
            assert_eq!(read(&write(number)), Ok(number));
            last = place;
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        for (partition, offset) in [
            (PARTITION_END, 0),
            (0, OFFSET_END),
            (-1, 0),
            (0, -1),
            (i32::MAX, i64::MAX),
        ] {
            assert_eq!(of(partition, offset), None, "{partition}/{offset}");
        }
        assert_eq!(split(u64::MAX).0, 0xff_ffff);
    }

    #[test]
    fn what_is_no_place_is_told_what_to_write() {
        for text in [
            "",
            "3",
            "/",
            "3/",
            "/4",
            "-1/4",
            "+1/4",
            "1/-4",
            "1/4/5",
            " 1/4",
            "1/4 ",
            "8192/0",
            "0/1099511627776",
            "99999999999999999999/1",
            "٣/٤",
            "a/b",
        ] {
            let told = read(text);
            assert!(
                told.as_ref().is_err_and(|why| why.contains("PARTITION/OFFSET")),
                "{text}: {told:?}"
            );
        }
    }
}
