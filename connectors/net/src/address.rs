//! `url:` of a protocol on a byte stream: `SCHEME://HOST[:PORT]`.
//!
//! Invariant: an address holds no credentials, so that it can be printed.

use std::fmt;

/// A scheme that a connector speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scheme {
    /// As it is written before `://`.
    pub name: &'static str,
    /// The port where the address names none.
    pub port: u16,
    /// Whether it is TLS.
    pub tls: bool,
}

/// Where a remote listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// The fault of the file's author: what is wrong with a `url:` and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct AddressError {
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl Address {
    /// Reads an address whose scheme is one of `schemes`, of which there must be one.
    ///
    /// # Errors
    /// Another scheme, no host, a port out of range, credentials, or anything behind the port.
    pub fn parse(url: &str, schemes: &[Scheme]) -> Result<Address, AddressError> {
        let known = || {
            let names: Vec<String> = schemes
                .iter()
                .map(|scheme| format!("{}://", scheme.name))
                .collect();
            names.join(" or ")
        };
        let example = schemes.first().map_or_else(String::new, |scheme| {
            format!("write `{}://broker:{}`", scheme.name, scheme.port)
        });
        let error = |what: String, remedy: &str| AddressError {
            what,
            remedy: remedy.to_owned(),
        };
        let Some((name, rest)) = url.split_once("://") else {
            return Err(error(format!("`{}` has no scheme", shown(url)), &example));
        };
        let Some(scheme) = schemes
            .iter()
            .find(|scheme| scheme.name.eq_ignore_ascii_case(name))
        else {
            let what = format!("the scheme `{}://` is not spoken here", shown(name));
            return Err(error(what, &format!("use {}", known())));
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            // Not shown: it holds a password.
            let remedy = "give them under `auth: { user, password }`";
            return Err(error("the address holds credentials".into(), remedy));
        }
        if rest.contains(['/', '?', '#']) || rest.contains(char::is_whitespace) {
            let what = format!("`{}` has something behind host and port", shown(url));
            return Err(error(what, &example));
        }
        let (host, port) = split(rest).ok_or_else(|| {
            let what = format!("`{}` has no port between 1 and 65535 behind its host", shown(url));
            error(what, &example)
        })?;
        if host.is_empty() {
            return Err(error(format!("`{}` names no host", shown(url)), &example));
        }
        Ok(Address {
            scheme: *scheme,
            host: host.to_owned(),
            port: port.unwrap_or(scheme.port),
        })
    }

    /// The scheme.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// A name or an IP address; IPv6 without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = (self.scheme.name, &self.host, self.port);
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

/// Host and port, if there is one; `None` where what stands for a port is none.
fn split(text: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return None,
            }
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    match port {
        None => Some((host, None)),
        Some(port) => match port.parse() {
            Ok(port) if port > 0 => Some((host, Some(port))),
            _ => None,
        },
    }
}

/// The start of a text from the file, safe to print.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    // A url that is wrong in another way may still hold a password.
    if let Some(at) = short.rfind('@') {
        short.replace_range(..at, "...");
    }
    short.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const SCHEMES: [Scheme; 2] = [
        Scheme {
            name: "amqp",
            port: 5672,
            tls: false,
        },
        Scheme {
            name: "amqps",
            port: 5671,
            tls: true,
        },
    ];

    #[test]
    fn an_address_has_a_scheme_a_host_and_a_port() {
        for (url, host, port, tls, printed) in [
            ("amqp://broker", "broker", 5672, false, "amqp://broker:5672"),
            (
                "AMQPS://b.example/",
                "b.example",
                5671,
                true,
                "amqps://b.example:5671",
            ),
            ("amqp://127.0.0.1:1", "127.0.0.1", 1, false, "amqp://127.0.0.1:1"),
            ("amqp://[::1]:5673", "::1", 5673, false, "amqp://[::1]:5673"),
            (
                "amqp://[fe80::1]",
                "fe80::1",
                5672,
                false,
                "amqp://[fe80::1]:5672",
            ),
        ] {
            let address = Address::parse(url, &SCHEMES).unwrap();
            assert_eq!(
                (address.host(), address.port(), address.scheme().tls),
                (host, port, tls),
                "{url}"
            );
            assert_eq!(address.to_string(), printed);
            assert_eq!(Address::parse(printed, &SCHEMES).unwrap(), address);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_with_what_to_write() {
        for (url, what) in [
            ("broker:5672", "no scheme"),
            ("http://broker", "not spoken here"),
            ("amqp://", "names no host"),
            ("amqp://:5672", "names no host"),
            ("amqp://broker:0", "no port between"),
            ("amqp://broker:65536", "no port between"),
            ("amqp://broker:", "no port between"),
            ("amqp://[::1]x", "no port between"),
            ("amqp://broker/vhost", "behind host and port"),
            ("amqp://bro ker", "behind host and port"),
        ] {
            let error = Address::parse(url, &SCHEMES).unwrap_err();
            assert!(error.what.contains(what), "{url}: {error}");
            assert!(!error.remedy.is_empty());
        }
    }

    #[test]
    fn credentials_are_refused_and_never_shown() {
        for url in [
            "amqp://me:secret@broker",
            "me:secret@broker",
            "http://me:secret@broker",
        ] {
            let error = Address::parse(url, &SCHEMES).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
