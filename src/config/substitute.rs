//! `${VAR}`, `${VAR:-default}` and `${file:PATH}` in texts, after the file was parsed.
//!
//! Invariants: what is put in is never parsed as YAML, so it cannot add a key; its node is marked secret, so it is
//! never printed; what is not there is an error, never an empty text.

use weft_api::config::{Finding, Node, Value};

/// What `${...}` reads from. The loader gives the process' own; tests give theirs.
pub trait Environment {
    /// The value of an environment variable.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file.
    ///
    /// # Errors
    /// Why it cannot be read, as a clause ("there is no such file").
    fn file(&self, path: &str) -> Result<String, String>;
}

/// Puts values in everywhere below `node`; `x-` keys are left alone.
pub(super) fn substitute(node: &mut Node, environment: &dyn Environment, findings: &mut Vec<Finding>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => match expand(text, environment) {
            Ok(Expanded { text, secret }) => {
                node.value = Value::Text(text);
                node.secret |= secret;
            }
            Err((what, remedy)) => findings.push(Finding::error(node, what, remedy)),
        },
        Value::List(nodes) => nodes
            .iter_mut()
            .for_each(|node| substitute(node, environment, findings)),
        Value::Map(entries) => {
            for (_, node) in entries.iter_mut().filter(|(key, _)| !key.name.starts_with("x-")) {
                substitute(node, environment, findings);
            }
        }
        _ => {}
    }
}

struct Expanded {
    text: String,
    secret: bool,
}

/// `what` and `remedy`.
type Fault = (String, String);

fn expand(text: &str, environment: &dyn Environment) -> Result<Expanded, Fault> {
    let mut out = Expanded {
        text: String::with_capacity(text.len()),
        secret: false,
    };
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            // `$${` stands for `${`.
            out.text.push_str(before);
            out.text.push_str("${");
            rest = &from[2..];
            continue;
        }
        out.text.push_str(before);
        let Some(end) = from.find('}') else {
            return Err((
                "`${` is never closed".into(),
                "close it with `}`, or write `$${` for a literal `${`".into(),
            ));
        };
        out.text.push_str(&value(&from[2..end], environment)?);
        out.secret = true;
        rest = &from[end + 1..];
    }
    out.text.push_str(rest);
    Ok(out)
}

fn value(inside: &str, environment: &dyn Environment) -> Result<String, Fault> {
    if let Some(path) = inside.strip_prefix("file:") {
        let mut text = environment.file(path).map_err(|why| {
            (
                format!("the file `{path}` cannot be read: {why}"),
                "check the path and who may read it".to_owned(),
            )
        })?;
        // Editors and secret stores end a file with a line break that is no part of the secret.
        if text.ends_with('\n') {
            text.pop();
            if text.ends_with('\r') {
                text.pop();
            }
        }
        return Ok(text);
    }
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let valid = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !valid {
        let what = format!("`${{{name}}}` names no variable");
        return Err((
            what,
            "write `${NAME}`, `${NAME:-default}` or `${file:PATH}`; `$${` is a literal `${`".into(),
        ));
    }
    match (
        environment
            .var(name)
            .filter(|value| default.is_none() || !value.is_empty()),
        default,
    ) {
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => {
            let remedy = format!("set `{name}`, or give a default: `${{{name}:-...}}`");
            Err((format!("the environment variable `{name}` is not set"), remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct Fixed;

    impl Environment for Fixed {
        fn var(&self, name: &str) -> Option<String> {
            match name {
                "A" => Some("a".into()),
                "EMPTY" => Some(String::new()),
                _ => None,
            }
        }

        fn file(&self, path: &str) -> Result<String, String> {
            if path == "/s" {
                Ok("secret\r\n".into())
            } else {
                Err("there is no such file".into())
            }
        }
    }

    fn expanded(text: &str) -> Result<(String, bool), String> {
        expand(text, &Fixed)
            .map(|out| (out.text, out.secret))
            .map_err(|(what, _)| what)
    }

    #[test]
    fn values_are_put_in_and_marked() {
        assert_eq!(expanded("x${A}y${file:/s}"), Ok(("xaysecret".into(), true)));
        assert_eq!(
            expanded("${B:-b}${EMPTY:-c}[${EMPTY}]"),
            Ok(("bc[]".into(), true))
        );
        assert_eq!(expanded("$${A} and $A"), Ok(("${A} and $A".into(), false)));
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        struct Nested;
        impl Environment for Nested {
            fn var(&self, _: &str) -> Option<String> {
                Some("${A}".into())
            }
            fn file(&self, _: &str) -> Result<String, String> {
                Err(String::new())
            }
        }
        assert_eq!(expand("${A}", &Nested).map(|out| out.text).unwrap(), "${A}");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for text in ["${B}", "${A", "${}", "${1}", "${file:/t}", "${a-b}"] {
            assert!(expanded(text).is_err(), "{text}");
        }
    }
}
