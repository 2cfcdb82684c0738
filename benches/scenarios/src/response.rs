//! Just enough of HTTP/1.1 to read an answer cheaply, so that the load generator takes little of the cores that it
//! shares with what is measured. It knows no chunked bodies: who answers with one is reported as a failure.

/// The head of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// The length of head and body together.
    pub whole: usize,
    /// The connection ends after it.
    pub close: bool,
}

/// The most that a head may take.
pub const HEAD_BYTES_MAX: usize = 16 << 10;

/// Reads the head at the front of `bytes`; `None` while it is not there as a whole.
///
/// # Errors
/// What does not read as an answer with a known length.
pub fn head(bytes: &[u8]) -> Result<Option<Head>, String> {
    let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX {
            Err(format!("a head of more than {HEAD_BYTES_MAX} bytes"))
        } else {
            Ok(None)
        };
    };
    let text = std::str::from_utf8(&bytes[..end]).map_err(|e| format!("a head that is no text: {e}"))?;
    let mut lines = text.split("\r\n");
    let status = lines
        .next()
        .and_then(|line| line.strip_prefix("HTTP/1.1 "))
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| format!("no status line: {}", text.escape_debug()))?;
    let (mut body, mut close) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            body = value.parse().ok();
        } else if name.eq_ignore_ascii_case("connection") {
            close = value.eq_ignore_ascii_case("close");
        }
    }
    // These two have no body, and need not say so.
    if matches!(status, 204 | 304) {
        body = Some(0);
    }
    let body: usize = body.ok_or_else(|| format!("an answer of unknown length: {}", text.escape_debug()))?;
    Ok(Some(Head {
        status,
        whole: end + 4 + body,
        close,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_once_it_is_whole() {
        let text = b"HTTP/1.1 202 Accepted\r\ncontent-length: 5\r\nConnection: close\r\n\r\nhello";
        let whole = text.len();
        assert_eq!(head(&text[..40]), Ok(None));
        assert_eq!(
            head(text),
            Ok(Some(Head {
                status: 202,
                whole,
                close: true
            }))
        );
    }

    #[test]
    fn no_content_needs_no_length_and_any_other_answer_does() {
        let none = b"HTTP/1.1 204 No Content\r\ndate: x\r\n\r\n";
        let whole = none.len();
        assert_eq!(
            head(none),
            Ok(Some(Head {
                status: 204,
                whole,
                close: false
            }))
        );
        assert!(head(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(head(b"SSH-2.0\r\n\r\n").is_err());
        assert!(head(&[b'x'; HEAD_BYTES_MAX + 1]).is_err());
    }
}
