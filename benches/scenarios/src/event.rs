//! The event that every scenario sends: 256 bytes of JSON and six CloudEvents attributes, told apart by the id alone.
//! It knows no protocol; each tool lays it out by itself.

/// The attributes but for the id, in the order in which they are sent. `priority` is the extension that the routes look at.
pub const ATTRIBUTES: [(&str, &str); 5] = [
    ("specversion", "1.0"),
    ("source", "/plant/7/line/3"),
    ("type", "com.acme.reading"),
    ("time", "2026-01-31T08:00:00Z"),
    ("priority", "7"),
];

/// The media type of the data.
pub const CONTENT_TYPE: &str = "application/json";

/// The size of the data.
pub const DATA_BYTES: usize = 256;

/// The length of every id, so that one can be written over another.
pub const ID_BYTES: usize = 12;

/// The most events of one run, which bounds what it takes to tell them apart.
pub const EVENTS_MAX: usize = 100_000_000;

/// How many different order keys the events have.
const KEYS: usize = 1000;

/// The data: a JSON object of exactly [`DATA_BYTES`].
#[must_use]
pub fn data() -> Vec<u8> {
    data_of(DATA_BYTES)
}

/// The same with so many bytes, or as few as it has.
#[must_use]
pub fn data_of(bytes: usize) -> Vec<u8> {
    let (head, tail) = (r#"{"celsius":21.5,"note":""#, r#""}"#);
    let padding = "x".repeat(bytes.saturating_sub(head.len() + tail.len()));
    format!("{head}{padding}{tail}").into_bytes()
}

/// The id of event number `n`.
#[must_use]
pub fn id(n: usize) -> String {
    format!("{n:0ID_BYTES$}")
}

/// Which event an id belongs to.
#[must_use]
pub fn number(id: &[u8]) -> Option<usize> {
    let digits = std::str::from_utf8(id).ok().filter(|id| id.len() == ID_BYTES)?;
    digits.parse().ok().filter(|number| *number < EVENTS_MAX)
}

/// The order key of event number `n`.
#[must_use]
pub fn key(n: usize) -> String {
    format!("machine-{}", n % KEYS)
}

/// Which events have arrived, so that a duplicate is not taken for another event that is lost.
#[derive(Debug, Default)]
pub struct Seen {
    arrived: Vec<bool>,
    count: usize,
}

impl Seen {
    /// One has arrived.
    pub fn add(&mut self, number: usize) {
        if self.arrived.len() <= number {
            self.arrived.resize(number + 1, false);
        }
        if !std::mem::replace(&mut self.arrived[number], true) {
            self.count += 1;
        }
    }

    /// How many different ones have arrived.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_length_and_lead_back_to_their_event() {
        for n in [0, 7, EVENTS_MAX - 1] {
            assert_eq!(id(n).len(), ID_BYTES);
            assert_eq!(number(id(n).as_bytes()), Some(n));
        }
        assert_eq!(number(b"7"), None);
        assert_eq!(number(b"00000000000x"), None);
        assert_eq!(number(id(EVENTS_MAX).as_bytes()), None);
        assert_eq!(data().len(), DATA_BYTES);
    }

    #[test]
    fn a_duplicate_does_not_stand_in_for_another_event() {
        let mut seen = Seen::default();
        for number in [3, 0, 3] {
            seen.add(number);
        }
        assert_eq!(seen.count(), 2);
    }
}
