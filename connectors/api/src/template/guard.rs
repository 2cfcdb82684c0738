//! Guards: what a rendered value must go through before it stands in an address or a header (C34).
//!
//! A guard sees one value at a time, never the template's own text: so the author may write a `/`, a value
//! may not add one. These are the guards that fit any protocol; what a topic or a header name may hold is
//! each egress' to know.

/// Appends the value, as it is or encoded, or says what is wrong with it as a predicate: `has a control
/// character`.
pub type Guard<'g> = dyn Fn(&str, &mut String) -> Result<(), &'static str> + 'g;

/// Lets everything pass: for places that check by themselves, as an event's builder does.
///
/// # Errors
/// None.
pub fn any(value: &str, out: &mut String) -> Result<(), &'static str> {
    out.push_str(value);
    Ok(())
}

/// Refuses control characters, CR and LF among them.
///
/// # Errors
/// Names the fault.
pub fn plain(value: &str, out: &mut String) -> Result<(), &'static str> {
    if value.contains(char::is_control) {
        return Err("has a control character");
    }
    out.push_str(value);
    Ok(())
}

/// Refuses control characters, the given characters, and the empty value: for one level of a hierarchical
/// name.
pub fn level(forbidden: &'static [char]) -> impl Fn(&str, &mut String) -> Result<(), &'static str> {
    move |value, out| {
        if value.is_empty() {
            return Err("is empty");
        }
        if value.contains(forbidden) {
            return Err("has a separator or wildcard of the place it goes to");
        }
        plain(value, out)
    }
}

/// One segment of a URI's path: percent-encodes all but RFC 3986's unreserved characters.
///
/// # Errors
/// The empty value, `.` and `..`, which a server would take for another place.
pub fn path_segment(value: &str, out: &mut String) -> Result<(), &'static str> {
    if matches!(value, "" | "." | "..") {
        return Err("is empty or a step to another path");
    }
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.extend([
                '%',
                char::from(HEX[usize::from(byte >> 4)]),
                char::from(HEX[usize::from(byte & 15)]),
            ]);
        }
    }
    Ok(())
}
