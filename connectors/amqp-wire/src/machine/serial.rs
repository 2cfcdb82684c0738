//! Serial numbers (RFC 1982), as delivery-ids, transfer-ids and delivery-counts are.

/// How far `to` lies ahead of `from`; `None` where it lies behind.
pub(super) fn ahead(from: u32, to: u32) -> Option<u32> {
    let distance = to.wrapping_sub(from);
    (distance < 1 << 31).then_some(distance)
}

/// What is left of what a peer allowed when it had seen us at `seen`, now that we are at `now`. Any `allowed` is legal, also
/// one that is larger than half of all numbers.
pub(super) fn left(seen: u32, now: u32, allowed: u32) -> u32 {
    allowed.saturating_sub(ahead(seen, now).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{ahead, left};

    #[test]
    fn what_is_under_way_is_taken_off() {
        assert_eq!(left(5, 5, 10), 10);
        assert_eq!(left(u32::MAX, 1, 10), 8);
        assert_eq!(left(0, 20, 10), 0);
        assert_eq!(left(7, 9, u32::MAX), u32::MAX - 2);
        assert_eq!(left(9, 7, 10), 10, "a peer that is ahead of us");
    }

    #[test]
    fn numbers_go_round() {
        assert_eq!(ahead(5, 5), Some(0));
        assert_eq!(ahead(u32::MAX, 1), Some(2));
        assert_eq!(ahead(1, u32::MAX), None);
        assert_eq!(ahead(0, 1 << 31), None);
        assert_eq!(ahead(1, 1 << 31), Some((1 << 31) - 1));
    }
}
