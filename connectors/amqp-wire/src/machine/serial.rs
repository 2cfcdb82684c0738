//! Serial numbers (RFC 1982), as delivery-ids, transfer-ids and delivery-counts are.

/// How far `to` lies ahead of `from`; `None` where it lies behind.
pub(super) fn ahead(from: u32, to: u32) -> Option<u32> {
    let distance = to.wrapping_sub(from);
    (distance < 1 << 31).then_some(distance)
}

/// What is left of an allowance that counts from `seen`, once we have got to `at`. The allowance may be any number, beyond
/// the half of all numbers that can be compared, too. A peer that has seen more than there is gets no more than it says.
pub(super) fn left(allowance: u32, seen: u32, at: u32) -> u32 {
    allowance.saturating_sub(ahead(seen, at).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{ahead, left};

    #[test]
    fn any_allowance_counts() {
        assert_eq!(left(10, 5, 8), 7);
        assert_eq!(left(2, 5, 8), 0);
        assert_eq!(left(u32::MAX, u32::MAX, 2), u32::MAX - 3);
        assert_eq!(left(1 << 31, 0, 0), 1 << 31);
        assert_eq!(left(10, 9, 8), 10, "it has seen what was not sent");
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
