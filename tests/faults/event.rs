//! The numbered events of every run: what is sent, and whether what came is equal to it. The floods of the rig
//! (`tests/rig/python/bulk.py`) make the same ones, byte for byte.

use weft_rig::Record;

/// Keys take turns: event N has the key N modulo this.
pub(crate) const KEYS: usize = 100;
/// What the floods call the size: about so many bytes of data.
pub(crate) const SIZE: usize = 256;
/// The media type of the data.
pub(crate) const CONTENT_TYPE: &str = "application/json";

const PREFIX: &str = "flood-";

/// Where each event goes to one of several destinations only: to which. All events of a key go to the same.
pub(crate) fn owner(number: usize, legs: usize) -> usize {
    number % KEYS % legs
}

/// The id of an event.
pub(crate) fn id(number: usize) -> String {
    format!("{PREFIX}{number}")
}

/// Begins the ids of events that only weigh: they are sent besides the run's own, and nobody counts them.
pub(crate) const BALLAST: &str = "ballast-";

/// Whether these are the attributes of such an event.
pub(crate) fn is_ballast(found: &[(&str, &str)]) -> bool {
    let is = |(name, value): &(&str, &str)| *name == "id" && value.starts_with(BALLAST);
    found.iter().any(is)
}

/// The number in an id; `None` for an event that no run has made.
pub(crate) fn number(id: &str) -> Option<usize> {
    id.strip_prefix(PREFIX)?.parse().ok()
}

/// The key of an event.
pub(crate) fn key(number: usize) -> String {
    format!("key-{}", number % KEYS)
}

/// All attributes but `datacontenttype`.
pub(crate) fn attributes(number: usize) -> [(&'static str, String); 5] {
    [
        ("specversion", "1.0".to_owned()),
        ("id", id(number)),
        ("source", "/weft/rig/flood".to_owned()),
        ("type", "com.example.rig.flood".to_owned()),
        ("partitionkey", key(number)),
    ]
}

/// The data of an event.
pub(crate) fn data(number: usize) -> String {
    let pad = "x".repeat(SIZE - 60);
    format!(
        r#"{{"id": "{}", "n": {number}, "key": "{}", "pad": "{pad}"}}"#,
        id(number),
        key(number)
    )
}

/// A record in binary mode.
pub(crate) fn record(topic: &str, number: usize) -> Record {
    let mut record = Record::to(topic)
        .key(key(number))
        .header("content-type", CONTENT_TYPE)
        .value(data(number));
    for (name, value) in attributes(number) {
        record = record.header(&format!("ce_{name}"), value);
    }
    record
}

/// Whether data and attributes are what was sent (C2). What Weft adds (`weft...`) does not count; nothing else may be
/// there. `found` has `datacontenttype` too.
pub(crate) fn is_intact<'a>(
    number: usize,
    body: &[u8],
    found: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> bool {
    let wanted = attributes(number);
    let mut equal = 0;
    for (name, value) in found {
        let is = match name {
            "datacontenttype" => value == CONTENT_TYPE,
            _ if name.starts_with("weft") => continue,
            _ => wanted.iter().any(|(n, v)| *n == name && v == value),
        };
        if !is {
            return false;
        }
        equal += 1;
    }
    equal == wanted.len() + 1 && body == data(number).as_bytes()
}
