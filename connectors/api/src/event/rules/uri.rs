//! RFC 3986 as a check only: the text is kept as it came.
//!
//! NOTE: CloudEvents cites section 4.3 for URI, whose grammar has no fragment. Producers do point into a
//! schema with a fragment, and every SDK takes it; to refuse it would lose real events for nothing, so a
//! fragment is allowed.

/// A `URI` of section 3: a scheme, then anything that a reference may have.
pub(super) fn is_uri(text: &str) -> bool {
    match split_scheme(text) {
        Some((scheme, rest)) => is_scheme(scheme) && is_hierarchical(rest),
        None => false,
    }
}

/// A `URI-reference` of section 4.1: with a scheme, or relative. The empty text is one, too.
pub(super) fn is_reference(text: &str) -> bool {
    match split_scheme(text) {
        // Section 4.2: the first segment of a relative path has no colon, so that what precedes one is a
        // scheme.
        Some((scheme, rest)) => is_scheme(scheme) && is_hierarchical(rest),
        None => is_hierarchical(text),
    }
}

/// Splits at a colon that stands before any `/`, `?` or `#`.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let at = text.find([':', '/', '?', '#'])?;
    (text.as_bytes()[at] == b':').then(|| (&text[..at], &text[at + 1..]))
}

fn is_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// `["//" authority] path ["?" query] ["#" fragment]`
fn is_hierarchical(text: &str) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let path = match text.strip_prefix("//") {
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if !is_authority(authority) {
                return false;
            }
            path
        }
        None => text,
    };
    consists_of(path, |byte| is_pchar(byte) || byte == b'/')
        && [query, fragment]
            .into_iter()
            .all(|part| consists_of(part, |byte| is_pchar(byte) || matches!(byte, b'/' | b'?')))
}

/// `[userinfo "@"] host [":" port]`
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').unwrap_or(("", text));
    let user_holds = consists_of(user, |byte| is_unreserved_or_sub(byte) || byte == b':');
    let (host_holds, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((literal, port)) => (is_ip_literal(literal), port),
            None => return false,
        },
        None => {
            let (name, port) = host.split_at(host.find(':').unwrap_or(host.len()));
            (consists_of(name, is_unreserved_or_sub), port)
        }
    };
    let port_holds = port.is_empty()
        || port
            .strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    user_holds && host_holds && port_holds
}

/// An IPv6 address, or `IPvFuture`.
fn is_ip_literal(text: &str) -> bool {
    let Some(future) = text.strip_prefix(['v', 'V']) else {
        return text.parse::<std::net::Ipv6Addr>().is_ok();
    };
    future.split_once('.').is_some_and(|(version, address)| {
        let hex = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex && !address.is_empty()
            && address
                .bytes()
                .all(|byte| byte != b'%' && is_unreserved_or_sub(byte) || byte == b':')
    })
}

/// Every byte is allowed, and every `%` begins an escape.
fn consists_of(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = match (first, tail) {
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => after,
            (b'%', _) => return false,
            _ if allowed(*first) => tail,
            _ => return false,
        };
    }
    true
}

fn is_unreserved_or_sub(byte: u8) -> bool {
    const ALLOWED: [bool; 256] = super::allowed(b"-._~!$&'()*+,;=");
    ALLOWED[usize::from(byte)]
}

fn is_pchar(byte: u8) -> bool {
    is_unreserved_or_sub(byte) || matches!(byte, b':' | b'@')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 3986 section 1.1.2 and of CloudEvents, and the corners of the grammar.
    const URIS: [&str; 16] = [
        "ftp://ftp.is.co.za/rfc/rfc1808.txt",
        "ldap://[2001:db8::7]/c=GB?objectClass?one",
        "mailto:cncf-wg-serverless@lists.cncf.io",
        "news:comp.infosystems.www.servers.unix",
        "tel:+1-816-555-1212",
        "telnet://192.0.2.16:80/",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
        "weft://paris/plant",
        "http://user:pass@host:/%C3%A9?a=b/c?d#e/f?g",
        "file:///etc/hosts",
        "x:",
        "http://[v1.a:b]:80",
        "http://[::ffff:192.0.2.1]",
        "https://example.com/schema.json#/definitions/order",
        "a+b-c.1:y",
        "http://",
    ];
    const RELATIVE: [&str; 10] = [
        "",
        "/cloudevents/spec/pull/123",
        "1-555-123-4567",
        "a/b:c",
        "./b:c",
        "?q",
        "#f",
        "//host/path",
        "a%20b",
        "sensors;v=1,2/(x)*'y'!$&+=@~",
    ];

    #[test]
    fn uris_and_references_of_rfc_3986_are_taken() {
        for uri in URIS {
            assert!(is_uri(uri) && is_reference(uri), "{uri}");
        }
        for relative in RELATIVE {
            assert!(is_reference(relative) && !is_uri(relative), "{relative}");
        }
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for bad in [
            "with space",
            "caf\u{e9}",
            "a%2",
            "a%zz",
            "1:2",
            ":x",
            "a b:c",
            "a#b#c",
            "a[0]",
            "a{b}",
            "a|b",
            "a\\b",
            "a^b",
            "a\"b",
            "<a>",
            "http://[::1",
            "http://[::1]x",
            "http://[nonsense]",
            "http://[v.a]",
            "http://host:port/",
            "http://ho[st]/",
            "http://a@b@c@/",
            "line\nbreak",
        ] {
            assert!(!is_reference(bad) && !is_uri(bad), "{bad:?}");
        }
    }
}
