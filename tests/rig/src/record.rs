//! A Kafka record by itself, owned and comparable. It knows the client's types only to be sent and to be made.

use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::BaseRecord;

/// A record, to send or received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Where it goes or was.
    pub topic: String,
    /// `None` leaves the choice to the client, by the key.
    pub partition: Option<i32>,
    /// Its place in the partition; meaningless in a record to send.
    pub offset: i64,
    /// The key.
    pub key: Option<Vec<u8>>,
    /// In order; a name may come twice, and a value may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Record {
    /// A record for a topic, without key, headers and value.
    #[must_use]
    pub fn to(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            ..Self::default()
        }
    }

    /// The same for one partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// The same with a key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// The same with one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.to_owned(), Some(value.into())));
        self
    }

    /// The same with a value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Vec<u8>>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// The first header of a name, as text; `None` where it is absent, null or not UTF-8.
    #[must_use]
    pub fn text_header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(n, _)| n == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub(crate) fn to_send(&self, index: usize) -> BaseRecord<'_, [u8], [u8], usize> {
        let mut headers = OwnedHeaders::new_with_capacity(self.headers.len());
        for (key, value) in &self.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_ref(),
            });
        }
        let mut record = BaseRecord::with_opaque_to(&self.topic, index).headers(headers);
        record.partition = self.partition;
        record.key = self.key.as_deref();
        record.payload = self.value.as_deref();
        record
    }

    pub(crate) fn received(message: &impl Message) -> Self {
        let headers = message.headers().into_iter().flat_map(Headers::iter);
        Self {
            topic: message.topic().to_owned(),
            partition: Some(message.partition()),
            offset: message.offset(),
            key: message.key().map(<[u8]>::to_vec),
            headers: headers
                .map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec)))
                .collect(),
            value: message.payload().map(<[u8]>::to_vec),
        }
    }
}
