//! An event as bytes that only Weft reads: what a log of the store keeps.
//!
//! ```text
//!  0 flags u8   1 attributes u32   5 data's length u32   9 key's length u32
//! 13 for each attribute: kind u8, name's length u8, value's length u32, name, value
//!    then the key, then the data
//! ```
//! Numbers are little-endian. Every attribute is there but `specversion`, in the event's own order; so is the transport's
//! key, which no CloudEvents format has. Reading goes through [`EventBuilder`], so that an event out of a damaged or
//! foreign file is as valid as any other, or none.

use bytes::Bytes;

use super::attr::AttrKind;
use super::builder::EventBuilder;
use super::layout::Event;

const HAS_DATA: u8 = 1;
const HAS_KEY: u8 = 2;
const JSON_DATA: u8 = 4;
const HEAD: usize = 13;
/// Bytes of an attribute before its name.
const ATTRIBUTE: usize = 6;

impl Event {
    /// Appends everything but the data, which the caller puts behind it; see the module.
    pub fn store(&self, into: &mut Vec<u8>) {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        into.push(
            flag(self.data.is_some(), HAS_DATA)
                | flag(self.key.is_some(), HAS_KEY)
                | flag(self.json_data, JSON_DATA),
        );
        let count_at = into.len();
        into.extend_from_slice(&[0; 4]);
        for part in [&self.data, &self.key] {
            into.extend_from_slice(&length(part.as_deref().unwrap_or_default()).to_le_bytes());
        }
        let mut count = 0u32;
        for (name, value) in self.attributes() {
            count += 1;
            into.push(value.kind as u8);
            into.push(u8::try_from(name.len()).expect("names have at most 255 bytes"));
            into.extend_from_slice(&length(value.text.as_bytes()).to_le_bytes());
            into.extend_from_slice(name.as_bytes());
            into.extend_from_slice(value.text.as_bytes());
        }
        into[count_at..count_at + 4].copy_from_slice(&count.to_le_bytes());
        into.extend_from_slice(self.key.as_deref().unwrap_or_default());
    }

    /// Reads what [`Event::store`] wrote, with the data behind it and nothing else; data and key share the memory of
    /// `bytes`. `None`: that is not what this is.
    #[must_use]
    pub fn read_stored(bytes: &Bytes, builder: &mut EventBuilder) -> Option<Event> {
        builder.clear();
        let head = bytes.get(..HEAD)?;
        let flags = head[0];
        let (count, data, key) = (number(&head[1..])?, number(&head[5..])?, number(&head[9..])?);
        let mut at = HEAD;
        for _ in 0..count {
            let head = bytes.get(at..at + ATTRIBUTE)?;
            let name = at + ATTRIBUTE;
            let value = name + usize::from(head[1]);
            let end = value.checked_add(number(&head[2..])?)?;
            let name = std::str::from_utf8(bytes.get(name..value)?).ok()?;
            let text = std::str::from_utf8(bytes.get(value..end)?).ok()?;
            builder.set(name, AttrKind::from_code(head[0]), text);
            at = end;
        }
        let data_at = at.checked_add(key)?;
        if data_at.checked_add(data)? != bytes.len() {
            return None;
        }
        if flags & HAS_KEY != 0 {
            builder.key(bytes.slice(at..data_at));
        }
        if flags & HAS_DATA != 0 {
            let data = bytes.slice(data_at..);
            match flags & JSON_DATA {
                0 => builder.data(data),
                _ => builder.scanned_json(data),
            };
        }
        builder.build().ok()
    }
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len())
        .expect("no part of an event has four thousand million bytes: limits.event is far below")
}

fn number(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.first_chunk()?)).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::event::testing::any_event;

    fn bytes_of(event: &Event) -> Bytes {
        let mut bytes = Vec::new();
        event.store(&mut bytes);
        bytes.extend_from_slice(event.data().map_or(&[][..], |data| data));
        Bytes::from(bytes)
    }

    proptest! {
        #[test]
        fn what_is_stored_reads_back(event in any_event(), key in proptest::option::of(any::<Vec<u8>>())) {
            let event = event.with_key(key.map(Bytes::from));
            let read = Event::read_stored(&bytes_of(&event), &mut EventBuilder::new());
            let read = read.expect("an event");
            prop_assert_eq!(&read, &event);
            prop_assert_eq!(read.transport_key(), event.transport_key());
            prop_assert_eq!(read.json_data, event.json_data);
            let names = |event: &Event| event.attributes().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
            prop_assert_eq!(names(&read), names(&event));
        }

        #[test]
        fn bytes_of_any_kind_are_an_event_or_none(bytes in any::<Vec<u8>>()) {
            let _ = Event::read_stored(&Bytes::from(bytes), &mut EventBuilder::new());
        }

        #[test]
        fn a_stored_event_that_was_cut_or_changed_never_panics(event in any_event(), at in any::<usize>(), bit in 0u8..8, cut in any::<bool>()) {
            let mut bytes = bytes_of(&event).to_vec();
            let at = at % bytes.len();
            if cut { bytes.truncate(at) } else { bytes[at] ^= 1 << bit }
            let read = Event::read_stored(&Bytes::from(bytes), &mut EventBuilder::new());
            prop_assert!(!cut || read.is_none());
        }
    }
}
