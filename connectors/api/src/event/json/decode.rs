//! Reads events from JSON.

use std::borrow::Cow;
use std::cell::RefCell;
use std::ops::Range;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::error::{DecodeError, Member};
use super::scan::{Quoted, Scanner};
use crate::event::invalid::excerpt;
use crate::event::layout::Core;
use crate::event::rules::Media;
use crate::event::{AttrKind, Event, EventBuilder, InvalidEvent, Rule};

/// Payloads come from many encoders; whether they pad is of no consequence.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// How much more than the data itself a slice may keep alive. What it pins is not charged for, so that more
/// is copied.
const PINNED_MAX: usize = 1024;

thread_local! {
    /// One builder a thread, so that decoding costs the event's block and nothing else.
    static SCRATCH: RefCell<EventBuilder> = RefCell::new(EventBuilder::new());
}

/// Reads one event (JSON event format 1.0.2, section 3). Data without a content type gets the implied
/// `application/json`.
///
/// # Errors
/// The first fault of the text, of a member, or of the event's rules.
pub fn decode(input: &Bytes) -> Result<Event, DecodeError> {
    SCRATCH.with_borrow_mut(|builder| decode_with(builder, input))
}

/// As [`decode`], with the caller's scratch; what the builder held is forgotten.
///
/// # Errors
/// As [`decode`].
pub fn decode_with(builder: &mut EventBuilder, input: &Bytes) -> Result<Event, DecodeError> {
    let mut scanner = Scanner::new(utf8(input)?);
    let event = object(&mut scanner, builder, input)?;
    scanner.end()?;
    Ok(event)
}

/// Reads a batch (section 4) of at most `max_events`; an empty one is fine.
///
/// # Errors
/// As [`decode`], naming the event by its index: one bad event refuses the batch.
pub fn decode_batch(input: &Bytes, max_events: usize) -> Result<Vec<Event>, DecodeError> {
    let mut scanner = Scanner::new(utf8(input)?);
    let mut events = Vec::new();
    if !scanner.eat(b'[') {
        return Err(DecodeError::Shape {
            at: scanner.at(),
            expected: "a JSON array",
        });
    }
    if !scanner.eat(b']') {
        loop {
            if events.len() == max_events {
                return Err(DecodeError::TooMany { max: max_events });
            }
            let event = SCRATCH.with_borrow_mut(|builder| object(&mut scanner, builder, input));
            events.push(event.map_err(|source| DecodeError::InBatch {
                index: events.len(),
                source: Box::new(source),
            })?);
            if scanner.eat(b']') {
                break;
            }
            if !scanner.eat(b',') {
                return Err(scanner
                    .fault("a comma or the batch's closing bracket is missing")
                    .into());
            }
        }
    }
    scanner.end()?;
    Ok(events)
}

fn utf8(input: &Bytes) -> Result<&str, DecodeError> {
    std::str::from_utf8(input).map_err(|error| DecodeError::Utf8 {
        at: error.valid_up_to(),
    })
}

fn object(
    scanner: &mut Scanner<'_>,
    builder: &mut EventBuilder,
    input: &Bytes,
) -> Result<Event, DecodeError> {
    builder.clear();
    let event = members(scanner, builder, input);
    builder.clear();
    event
}

/// What the members said about the data; it is read last, since its meaning hangs on the content type.
#[derive(Default)]
struct Payload<'a> {
    data: Option<(Range<usize>, Option<Quoted<'a>>)>,
    base64: Option<Option<Quoted<'a>>>,
}

fn members(
    scanner: &mut Scanner<'_>,
    builder: &mut EventBuilder,
    input: &Bytes,
) -> Result<Event, DecodeError> {
    if !scanner.eat(b'{') {
        return Err(DecodeError::Shape {
            at: scanner.at(),
            expected: "a JSON object",
        });
    }
    let mut payload = Payload::default();
    let mut nulls = Vec::new();
    let mut versioned = false;
    let mut more = !scanner.eat(b'}');
    while more {
        let name = scanner.name()?.text()?;
        let repeated = match &*name {
            "data" => {
                let string = if scanner.peek() == b'"' {
                    Some(scanner.clone().string()?)
                } else {
                    None
                };
                payload.data.replace((scanner.value()?, string)).is_some()
            }
            "data_base64" => {
                let string = match scanner.peek() {
                    b'"' => Some(scanner.string()?),
                    b'n' => scanner.literal("null").map(|()| None)?,
                    _ => return Err(member(&name, Member::NotString)),
                };
                payload.base64.replace(string).is_some()
            }
            "specversion" => {
                let text = match scanner.peek() {
                    b'"' => scanner.string()?.text()?,
                    _ => return Err(member(&name, Member::NotString)),
                };
                builder.set("specversion", AttrKind::String, &text);
                std::mem::replace(&mut versioned, true)
            }
            _ if builder.has(&name) => true,
            _ => {
                if !attribute(scanner, builder, &name)? {
                    nulls.push(name.clone());
                }
                false
            }
        };
        if repeated {
            return Err(member(&name, Member::Duplicate));
        }
        more = scanner.eat(b',');
        if !more && !scanner.eat(b'}') {
            return Err(scanner
                .fault("a comma or the event's closing brace is missing")
                .into());
        }
    }
    if !versioned {
        return Err(InvalidEvent::new("specversion", Rule::Required, "").into());
    }
    no_second(&mut nulls, builder)?;
    set_data(builder, payload, input)?;
    Ok(builder.build()?)
}

/// Reads an attribute's value into the builder; false where it is `null`, which is as good as absent (section
/// 2.2).
fn attribute(scanner: &mut Scanner<'_>, builder: &mut EventBuilder, name: &str) -> Result<bool, DecodeError> {
    let first = scanner.peek();
    if Core::by_name(name).is_some() && !matches!(first, b'"' | b'n') {
        return Err(member(name, Member::NotString));
    }
    match first {
        b'"' => _ = builder.set(name, AttrKind::String, &scanner.string()?.text()?),
        b'n' => return scanner.literal("null").map(|()| false).map_err(DecodeError::from),
        b't' => {
            scanner.literal("true")?;
            builder.set(name, AttrKind::Boolean, "true");
        }
        b'f' => {
            scanner.literal("false")?;
            builder.set(name, AttrKind::Boolean, "false");
        }
        b'-' | b'0'..=b'9' => match scanner.number()? {
            "-0" => _ = builder.set(name, AttrKind::Integer, "0"),
            text if text.parse::<i32>().is_ok() => _ = builder.set(name, AttrKind::Integer, text),
            _ => return Err(member(name, Member::NotInteger)),
        },
        b'{' | b'[' => return Err(member(name, Member::Structured)),
        _ => return Err(scanner.fault("a value is missing or is no JSON").into()),
    }
    Ok(true)
}

/// A name that was `null` once must not occur again.
fn no_second(nulls: &mut [Cow<'_, str>], builder: &EventBuilder) -> Result<(), DecodeError> {
    nulls.sort_unstable();
    let twice = nulls
        .windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| &pair[0]);
    match twice.or_else(|| nulls.iter().find(|name| builder.has(name))) {
        Some(name) => Err(member(name, Member::Duplicate)),
        None => Ok(()),
    }
}

fn set_data(builder: &mut EventBuilder, payload: Payload<'_>, input: &Bytes) -> Result<(), DecodeError> {
    let (range, string) = match payload {
        Payload {
            data: Some(_),
            base64: Some(Some(_)),
        } => return Err(member("data", Member::BothData)),
        Payload { data: Some(data), .. } => data,
        Payload {
            data: None,
            base64: Some(Some(text)),
        } => {
            let bytes = BASE64
                .decode(&*text.text()?)
                .map_err(|_| member("data_base64", Member::NotBase64))?;
            builder.data(bytes.into());
            return Ok(());
        }
        Payload { data: None, .. } => return Ok(()),
    };
    let Some(declared) = builder.get("datacontenttype") else {
        builder
            .datacontenttype("application/json")
            .scanned_json(cut(input, range));
        return Ok(());
    };
    let Some(media) = Media::parse(declared.text) else {
        // The validator names the fault.
        return Ok(());
    };
    if media.is_json() {
        builder.scanned_json(cut(input, range));
        return Ok(());
    }
    let Some(string) = string else {
        // `null` is a value in JSON only; beside any other content type it is no data.
        let absent = &input[range] == b"null";
        return if absent {
            Ok(())
        } else {
            Err(member("data", Member::DataNotString))
        };
    };
    let text = string.text()?;
    if media
        .foreign_charset()
        .is_some_and(|charset| !says_the_same(charset, &text))
    {
        return Err(member("data", Member::ForeignCharset));
    }
    let data = match text {
        Cow::Borrowed(_) => cut(input, range.start + 1..range.end - 1),
        Cow::Owned(text) => text.into_bytes().into(),
    };
    builder.data(data);
    Ok(())
}

/// Whether the text has the same bytes in that character set as in UTF-8: ASCII has in nearly all of them.
fn says_the_same(charset: &str, text: &str) -> bool {
    let wide = ["utf-16", "utf-32", "ucs", "utf-7", "ebcdic"];
    let lower = charset.to_ascii_lowercase();
    text.is_ascii() && !wide.iter().any(|name| lower.contains(name))
}

/// The data as a slice of the input, or as a copy where the slice would keep much more alive than itself.
fn cut(input: &Bytes, range: Range<usize>) -> Bytes {
    let pinned = input.len() - range.len();
    if pinned > range.len().saturating_add(PINNED_MAX) {
        Bytes::copy_from_slice(&input[range])
    } else {
        input.slice(range)
    }
}

fn member(name: &str, rule: Member) -> DecodeError {
    DecodeError::Member {
        name: excerpt(name),
        rule,
    }
}
