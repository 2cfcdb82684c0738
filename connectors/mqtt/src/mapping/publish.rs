//! A PUBLISH packet as the mapping sees it, in both directions; it borrows what it can.

use std::borrow::Cow;

use bytes::Bytes;
use smallvec::SmallVec;

/// More user properties than this are not looked at: the message is malformed.
pub(crate) const USER_MAX: usize = 1024;

/// Names and values in their order; a name may come twice. So many fit without an allocation.
type Pairs<'a> = SmallVec<[(&'a str, Cow<'a, str>); 16]>;

/// The user properties of MQTT 5, at most [`USER_MAX`].
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct UserProperties<'a> {
    pairs: Pairs<'a>,
    overflow: bool,
}

impl<'a> UserProperties<'a> {
    /// Adds one at the end; past the bound it only notes that there are more.
    pub(crate) fn push(&mut self, name: &'a str, value: impl Into<Cow<'a, str>>) {
        if self.pairs.len() < USER_MAX {
            self.pairs.push((name, value.into()));
        } else {
            self.overflow = true;
        }
    }

    /// Whether some did not fit.
    pub(crate) fn overflow(&self) -> bool {
        self.overflow
    }

    /// Names and values in their order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &str)> {
        self.pairs.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    /// The first of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(theirs, _)| *theirs == name)
            .map(|(_, value)| value)
    }
}

impl<'a, V: Into<Cow<'a, str>>> FromIterator<(&'a str, V)> for UserProperties<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, V)>>(pairs: I) -> Self {
        let mut all = UserProperties::default();
        for (name, value) in pairs {
            all.push(name, value);
        }
        all
    }
}

/// The properties of a PUBLISH that mean something to an event; none of them in MQTT 3.1.1.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Properties<'a> {
    /// Payload Format Indicator: the payload is UTF-8.
    pub(crate) utf8: bool,
    /// Message Expiry Interval, in seconds.
    pub(crate) expiry: Option<u32>,
    /// Content Type.
    pub(crate) content_type: Option<&'a str>,
    /// Response Topic.
    pub(crate) response_topic: Option<Cow<'a, str>>,
    /// Correlation Data.
    pub(crate) correlation: Option<Cow<'a, [u8]>>,
    /// User properties.
    pub(crate) user: UserProperties<'a>,
}

/// A PUBLISH packet without what belongs to the session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Publish<'a> {
    /// Topic Name.
    pub(crate) topic: Cow<'a, str>,
    /// The payload; a zero-length one is legal.
    pub(crate) payload: Bytes,
    /// The RETAIN flag.
    pub(crate) retain: bool,
    /// The properties of MQTT 5.
    pub(crate) properties: Properties<'a>,
}

impl Publish<'_> {
    /// Bytes of topic, payload and properties.
    pub(crate) fn size(&self) -> u64 {
        let properties = &self.properties;
        let user: usize = properties
            .user
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let fields = properties.content_type.map_or(0, str::len)
            + properties.response_topic.as_ref().map_or(0, |topic| topic.len())
            + properties.correlation.as_ref().map_or(0, |data| data.len());
        (self.topic.len() + self.payload.len() + fields + user) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_properties_are_kept_up_to_a_bound_and_the_first_of_a_name_is_found() {
        let mut user: UserProperties<'_> = (0..USER_MAX).map(|_| ("a", "1")).collect();
        assert!(!user.overflow());
        user.push("b", "2");
        assert!(user.overflow());
        assert_eq!((user.iter().count(), user.get("b")), (USER_MAX, None));
        let two: UserProperties<'_> = [("a", "1"), ("a", "2")].into_iter().collect();
        assert_eq!(two.get("a"), Some("1"));
    }

    #[test]
    fn the_size_counts_every_part() {
        let publish = Publish {
            topic: "a/b".into(),
            payload: Bytes::from_static(b"1234"),
            retain: false,
            properties: Properties {
                content_type: Some("t/p"),
                response_topic: Some("r".into()),
                correlation: Some(Cow::Borrowed(b"cc")),
                user: [("n", "vv")].into_iter().collect(),
                ..Properties::default()
            },
        };
        assert_eq!(publish.size(), 3 + 4 + 3 + 1 + 2 + 3);
    }
}
