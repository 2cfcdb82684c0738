//! A record as a segment holds it: a head with a CRC of its own, then the payload.
//!
//! ```text
//!  0 magic "WFR1"   4 kind u8, 3 zero bytes   8 payload's length u32   12 payload's CRC u32
//! 16 sequence u64  24 mark u64               32 head's CRC u32        36 zero u32
//! 40 payload, then zeros up to a multiple of 8
//! ```
//! Numbers are little-endian, CRCs are CRC-32C. The mark says what was durable when the record was written: every
//! sequence of the log below it. The head's CRC is seeded with the log's [`Salt`], so that what belongs to another log, or
//! what a sender wrote to look like one, is no record here.
//!
//! Invariant: a head whose CRC holds says truly how long its payload is, so that a damaged payload costs no search.

/// Bytes before a payload.
pub(crate) const HEAD: usize = 40;
/// Records begin at a multiple of this.
pub(crate) const ALIGN: usize = 8;
/// The longest payload: what fits beside its head in a segment of any size we make.
pub const PAYLOAD_MAX: usize = 1 << 30;

const MAGIC: [u8; 4] = *b"WFR1";

/// What a log's records are salted with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Salt(u32);

impl Salt {
    /// Of the log with this number.
    pub(crate) fn new(log: u64) -> Salt {
        Salt(crc32c::crc32c(&log.to_le_bytes()))
    }
}

/// What a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Something that was appended.
    Data = 1,
    /// Nothing but its mark, when a log rests.
    Mark = 2,
    /// The last of its segment; see [`crate::segment::Seal`].
    Seal = 3,
}

/// What a head says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// The payload's bytes.
    pub(crate) length: u32,
    /// Of a data record its own; of others the next data record's.
    pub(crate) sequence: u64,
    /// Every sequence below this was durable.
    pub(crate) mark: u64,
    crc: u32,
}

impl Head {
    /// Reads a head; `None` where there is none.
    pub(crate) fn read(bytes: &[u8], salt: Salt) -> Option<Head> {
        let bytes: &[u8; HEAD] = bytes.first_chunk()?;
        if bytes[..4] != MAGIC || head_crc(bytes, salt) != u32_at(bytes, 32) {
            return None;
        }
        let kind = match bytes[4] {
            1 => Kind::Data,
            2 => Kind::Mark,
            3 => Kind::Seal,
            _ => return None,
        };
        Some(Head {
            kind,
            length: u32_at(bytes, 8),
            sequence: u64_at(bytes, 16),
            mark: u64_at(bytes, 24),
            crc: u32_at(bytes, 12),
        })
    }

    /// Whether this is its payload.
    pub(crate) fn fits(&self, payload: &[u8]) -> bool {
        crc32c::crc32c(payload) == self.crc
    }

    /// Bytes from this record to the next.
    pub(crate) fn span(&self) -> u64 {
        span(self.length as usize)
    }
}

/// Bytes that a payload of this length takes as a record.
pub(crate) fn span(payload: usize) -> u64 {
    (HEAD + payload.next_multiple_of(ALIGN)) as u64
}

/// A payload in parts, and what a head says of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    parts: &'a [&'a [u8]],
    length: u32,
    crc: u32,
}

impl<'a> Payload<'a> {
    /// No longer than [`PAYLOAD_MAX`].
    pub(crate) fn new(parts: &'a [&'a [u8]]) -> Payload<'a> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        Payload {
            parts,
            length: u32::try_from(length).expect("within PAYLOAD_MAX"),
            crc: parts.iter().fold(0, |crc, part| crc32c::crc32c_append(crc, part)),
        }
    }
}

/// Appends a record to `buffer`.
pub(crate) fn write(
    buffer: &mut Vec<u8>,
    kind: Kind,
    (sequence, mark): (u64, u64),
    salt: Salt,
    payload: Payload<'_>,
) {
    let mut head = [0; HEAD];
    head[..4].copy_from_slice(&MAGIC);
    head[4] = kind as u8;
    head[8..12].copy_from_slice(&payload.length.to_le_bytes());
    head[12..16].copy_from_slice(&payload.crc.to_le_bytes());
    head[16..24].copy_from_slice(&sequence.to_le_bytes());
    head[24..32].copy_from_slice(&mark.to_le_bytes());
    let crc = head_crc(&head, salt);
    head[32..36].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&head);
    for part in payload.parts {
        buffer.extend_from_slice(part);
    }
    buffer.resize(buffer.len().next_multiple_of(ALIGN), 0);
}

fn head_crc(head: &[u8; HEAD], salt: Salt) -> u32 {
    crc32c::crc32c_append(salt.0, &head[..32])
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn record(payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let (left, right) = payload.split_at(payload.len() / 2);
        write(
            &mut bytes,
            Kind::Data,
            (7, 5),
            Salt::new(1),
            Payload::new(&[left, right]),
        );
        bytes
    }

    #[test]
    fn what_is_written_reads_back() {
        for payload in [&b""[..], b"x", b"a payload of some length"] {
            let bytes = record(payload);
            let head = Head::read(&bytes, Salt::new(1)).unwrap();
            assert_eq!((head.kind, head.sequence, head.mark), (Kind::Data, 7, 5));
            assert_eq!(head.length as usize, payload.len());
            assert_eq!(head.span(), bytes.len() as u64);
            assert!(head.fits(&bytes[HEAD..HEAD + payload.len()]));
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let bytes = record(b"payload!");
        for bit in 0..(HEAD - 4 + 8) * 8 {
            let byte = bit / 8;
            // The four bytes behind the head's CRC say nothing.
            let byte = if byte >= HEAD - 4 { byte + 4 } else { byte };
            let mut bytes = bytes.clone();
            bytes[byte] ^= 1 << (bit % 8);
            let head = Head::read(&bytes, Salt::new(1));
            assert!(head.is_none_or(|head| !head.fits(&bytes[HEAD..])), "byte {byte}");
        }
    }

    #[test]
    fn a_record_of_another_log_is_none() {
        let bytes = record(b"payload");
        assert_eq!(Head::read(&bytes, Salt::new(2)), None);
        assert_eq!(Head::read(&bytes[..HEAD - 1], Salt::new(1)), None);
        assert_eq!(Head::read(&[0; HEAD], Salt::new(1)), None);
    }
}
