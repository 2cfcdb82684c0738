//! Reason codes of version 5 (2.4) as words, and the broker's own words in a form that is safe to print.

/// How much of the broker's own words is shown.
const WORDS_MAX: usize = 200;

/// The name of a reason code.
pub(crate) fn name(code: u8) -> &'static str {
    match code {
        0x00 => "success",
        0x04 => "disconnect with will message",
        0x10 => "no matching subscribers",
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client identifier not valid",
        0x86 => "bad user name or password",
        0x87 => "not authorised",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8a => "banned",
        0x8b => "server shutting down",
        0x8c => "bad authentication method",
        0x8d => "keep alive time-out",
        0x8e => "session taken over",
        0x8f => "topic filter invalid",
        0x90 => "topic name invalid",
        0x91 => "packet identifier in use",
        0x92 => "packet identifier not found",
        0x93 => "receive maximum exceeded",
        0x94 => "topic alias invalid",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9a => "retain not supported",
        0x9b => "quality of service not supported",
        0x9c => "use another server",
        0x9d => "server moved",
        0x9e => "shared subscriptions not supported",
        0x9f => "connection rate exceeded",
        0xa0 => "maximum connect time",
        0xa1 => "subscription identifiers not supported",
        0xa2 => "wildcard subscriptions not supported",
        _ => "unknown reason",
    }
}

/// `name (0x87): "the broker's words"`.
pub(crate) fn describe(code: u8, words: Option<&str>) -> String {
    let name = name(code);
    match words.filter(|words| !words.is_empty()) {
        Some(words) => format!("{name} (0x{code:02x}): \"{}\"", shown(words)),
        None => format!("{name} (0x{code:02x})"),
    }
}

/// Foreign text, bounded and without control characters.
pub(crate) fn shown(text: &str) -> String {
    text.escape_debug().take(WORDS_MAX).collect()
}
