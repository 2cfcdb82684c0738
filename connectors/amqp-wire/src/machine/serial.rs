//! Serial numbers (RFC 1982), as delivery-ids, transfer-ids and delivery-counts are.

/// How far `to` lies ahead of `from`; `None` where it lies behind.
pub(super) fn ahead(from: u32, to: u32) -> Option<u32> {
    let distance = to.wrapping_sub(from);
    (distance < 1 << 31).then_some(distance)
}

#[cfg(test)]
mod tests {
    use super::ahead;

    #[test]
    fn numbers_go_round() {
        assert_eq!(ahead(5, 5), Some(0));
        assert_eq!(ahead(u32::MAX, 1), Some(2));
        assert_eq!(ahead(1, u32::MAX), None);
        assert_eq!(ahead(0, 1 << 31), None);
        assert_eq!(ahead(1, 1 << 31), Some((1 << 31) - 1));
    }
}
