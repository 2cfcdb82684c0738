//! How a message carries an event, told by its content type: the same rule in every protocol binding of
//! CloudEvents.

use super::rules::Media;

/// What a message's content type says about the event in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ContentMode {
    /// The body is one event in JSON: [`super::json::decode`].
    Structured,
    /// The body is a batch in JSON: [`super::json::decode_batch`].
    Batch,
    /// The body is an event in a format that is not spoken here: an unsupported media type.
    Unsupported,
    /// The body is data: the event, if there is one, is in the message's metadata (binary mode).
    Binary,
}

impl ContentMode {
    /// Case and parameters do not matter. Anything that begins with `application/cloudevents` declares an
    /// event format.
    pub fn of(content_type: Option<&str>) -> ContentMode {
        const PREFIX: &str = "application/cloudevents";
        let Some(text) = content_type.map(str::trim) else {
            return ContentMode::Binary;
        };
        if !text
            .get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
        {
            return ContentMode::Binary;
        }
        match Media::parse(text) {
            Some(media) if media.is("application", "cloudevents+json") => ContentMode::Structured,
            Some(media) if media.is("application", "cloudevents-batch+json") => ContentMode::Batch,
            _ => ContentMode::Unsupported,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_the_mode() {
        for (text, mode) in [
            ("application/cloudevents+json", ContentMode::Structured),
            (
                "Application/CloudEvents+JSON; charset=utf-8",
                ContentMode::Structured,
            ),
            (
                " application/cloudevents-batch+json;charset=UTF-8",
                ContentMode::Batch,
            ),
            ("application/cloudevents+protobuf", ContentMode::Unsupported),
            ("application/cloudevents", ContentMode::Unsupported),
            ("application/cloudevents+json; broken", ContentMode::Unsupported),
            ("application/json", ContentMode::Binary),
            ("caf\u{e9}", ContentMode::Binary),
            ("", ContentMode::Binary),
        ] {
            assert_eq!(ContentMode::of(Some(text)), mode, "{text}");
        }
        assert_eq!(ContentMode::of(None), ContentMode::Binary);
    }
}
