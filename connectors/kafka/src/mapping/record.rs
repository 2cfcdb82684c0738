//! A record as the mapping sees it: borrowed, with its headers listed once.
//!
//! Invariant: listing headers cannot panic. The binding to librdkafka panics on a header whose name is not UTF-8, and
//! any producer can send one; the panic is caught, the header left out and counted as unreadable.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Headers, Message};
use smallvec::SmallVec;

use super::CONTENT_TYPE;

/// Most headers that are looked at; a record with more is malformed.
pub(crate) const HEADERS_MAX: usize = 1024;
/// What is said of such a record.
pub(crate) const TOO_MANY: &str = "it has more than 1024 headers";

/// Names and values, in the order of the record; a value may be null.
pub(crate) type HeaderList<'a> = SmallVec<[(&'a str, Option<&'a [u8]>); 16]>;

/// A record.
pub(crate) struct Record<'a> {
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    pub(crate) headers: HeaderList<'a>,
    /// Why some headers could not be listed, if so.
    pub(crate) unreadable: Option<&'static str>,
}

impl<'a> Record<'a> {
    /// A record that was polled.
    pub(crate) fn of(message: &'a BorrowedMessage<'_>) -> Record<'a> {
        let (headers, unreadable) = match message.headers() {
            Some(headers) => list(headers),
            None => (HeaderList::new(), None),
        };
        Record {
            topic: message.topic(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
            headers,
            unreadable,
        }
    }

    /// `TOPIC/PARTITION/OFFSET`: the same for the same record, whoever reads it.
    pub(crate) fn coordinates(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// The first header of this name.
    pub(crate) fn header(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.headers
            .iter()
            .find(|(theirs, _)| *theirs == name)
            .map(|(_, value)| *value)
    }

    /// The media type, where there is one that can be read.
    pub(crate) fn content_type(&self) -> Option<&'a str> {
        let (_, value) = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(CONTENT_TYPE))?;
        std::str::from_utf8((*value)?).ok()
    }

    /// Bytes of key, value and headers.
    pub(crate) fn size(&self) -> u64 {
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len))
            .sum();
        (self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + headers) as u64
    }
}

/// Lists headers, and says why if not all of them.
pub(crate) fn list<H: Headers>(headers: &H) -> (HeaderList<'_>, Option<&'static str>) {
    let count = headers.count();
    let all = catch_unwind(AssertUnwindSafe(|| {
        let mut list = HeaderList::with_capacity(count.min(HEADERS_MAX));
        for index in 0..count.min(HEADERS_MAX) {
            if let Some(header) = headers.try_get(index) {
                list.push((header.key, header.value));
            }
        }
        list
    }));
    match all {
        Ok(list) if count > HEADERS_MAX => (list, Some(TOO_MANY)),
        Ok(list) => (list, None),
        Err(_) => {
            let readable = (0..count.min(HEADERS_MAX)).filter_map(|index| {
                let header = catch_unwind(AssertUnwindSafe(|| headers.try_get(index)))
                    .ok()
                    .flatten()?;
                Some((header.key, header.value))
            });
            (readable.collect(), Some("a header's name is not UTF-8"))
        }
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Header;

    use super::*;

    /// Headers of which every third panics, as the binding does at a name that is not UTF-8.
    struct Odd(usize);

    impl Headers for Odd {
        fn count(&self) -> usize {
            self.0
        }

        fn try_get(&self, index: usize) -> Option<Header<'_, &[u8]>> {
            assert!(index % 3 != 2, "not UTF-8");
            (index < self.0).then_some(Header {
                key: "name",
                value: None,
            })
        }
    }

    #[test]
    fn a_name_that_panics_the_binding_is_left_out_and_said() {
        let (headers, why) = list(&Odd(7));
        assert_eq!(headers.len(), 5);
        assert_eq!(why, Some("a header's name is not UTF-8"));
    }

    #[test]
    fn headers_are_listed_up_to_a_bound() {
        let (headers, why) = list(&Odd(2));
        assert_eq!((headers.len(), why), (2, None));
        let many = (0..=HEADERS_MAX).fold(rdkafka::message::OwnedHeaders::new(), |headers, _| {
            headers.insert(Header {
                key: "a",
                value: Some("b"),
            })
        });
        let (headers, why) = list(&many);
        assert_eq!(headers.len(), HEADERS_MAX);
        assert!(why.is_some());
    }
}
