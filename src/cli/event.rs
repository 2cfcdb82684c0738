//! The event that a person gives on the command line, whole or by its parts.

use std::fs;
use std::io::Read as _;

use bytes::Bytes;
use weft_api::event::{AttrKind, Event, EventBuilder, json};

use super::CliError;

/// Largest file, or standard input, that is read as an event or as data.
const INPUT_BYTES_MAX: u64 = 64 << 20;

/// How an event is given. `TEXT` may be `@FILE`, or `@-` for standard input.
#[derive(clap::Args, Debug, Default)]
pub(super) struct EventArgs {
    /// The whole event as CloudEvents JSON.
    #[arg(long, value_name = "JSON|@FILE", conflicts_with_all = ["ty", "source", "id", "subject", "data", "content_type", "attr"])]
    pub(super) event: Option<String>,
    /// Its `type`.
    #[arg(long = "type", value_name = "TYPE")]
    pub(super) ty: Option<String>,
    /// Its `source`.
    #[arg(long, value_name = "URI", default_value = "weft://cli")]
    pub(super) source: String,
    /// Its `id`; random where it is left out.
    #[arg(long, value_name = "ID")]
    pub(super) id: Option<String>,
    /// Its `subject`.
    #[arg(long, value_name = "TEXT")]
    pub(super) subject: Option<String>,
    /// Its data.
    #[arg(long, value_name = "TEXT|@FILE")]
    pub(super) data: Option<String>,
    /// Its `datacontenttype`; without it JSON is recognised, and the rest is text/plain.
    #[arg(long, value_name = "TYPE")]
    pub(super) content_type: Option<String>,
    /// Any further attribute; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) attr: Vec<String>,
}

impl EventArgs {
    /// The event, checked as any ingress would check it.
    pub(super) fn build(&self) -> Result<Event, CliError> {
        if let Some(given) = &self.event {
            let bytes = input("--event", given)?;
            return json::decode(&bytes).map_err(|error| CliError::Config(format!("--event: {error}")));
        }
        let Some(ty) = &self.ty else {
            return Err(CliError::Config(
                "an event needs --type, or give a whole one with --event".to_owned(),
            ));
        };
        let mut builder = EventBuilder::new();
        builder.ty(ty).source(&self.source);
        match &self.id {
            Some(id) => builder.id(id),
            None => builder.id(&format!("{:032x}", fastrand::u128(..))),
        };
        if let Some(subject) = &self.subject {
            builder.subject(subject);
        }
        for attribute in &self.attr {
            let Some((name, value)) = attribute.split_once('=') else {
                return Err(CliError::Config(format!(
                    "--attr {attribute:?}: write NAME=VALUE"
                )));
            };
            builder.set(name, AttrKind::String, value);
        }
        if let Some(data) = &self.data {
            let data = input("--data", data)?;
            builder
                .datacontenttype(content_type(self.content_type.as_deref(), &data))
                .data(data);
        }
        builder
            .build()
            .map_err(|error| CliError::Config(format!("this is no CloudEvent: {error}")))
    }
}

/// The content type that was given, else the one that the data looks like.
pub(super) fn content_type<'a>(given: Option<&'a str>, data: &[u8]) -> &'a str {
    match given {
        Some(given) => given,
        None if json::is_value(data) => "application/json",
        None if std::str::from_utf8(data).is_ok() => "text/plain",
        None => "application/octet-stream",
    }
}

/// The bytes behind `TEXT`, `@FILE` or `@-`; `option` names the option in errors.
pub(super) fn input(option: &str, given: &str) -> Result<Bytes, CliError> {
    let Some(path) = given.strip_prefix('@') else {
        return Ok(Bytes::copy_from_slice(given.as_bytes()));
    };
    let wrong = |why: String| CliError::Config(format!("{option} {given}: {why}"));
    let mut bytes = Vec::new();
    let read = match path {
        "-" => std::io::stdin().take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes),
        path => fs::File::open(path).and_then(|file| file.take(INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)),
    };
    read.map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > INPUT_BYTES_MAX {
        return Err(wrong(format!("larger than {INPUT_BYTES_MAX} bytes")));
    }
    Ok(Bytes::from(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn args(ty: &str, data: &str) -> EventArgs {
        EventArgs {
            ty: Some(ty.to_owned()),
            source: "weft://cli".to_owned(),
            data: Some(data.to_owned()),
            ..EventArgs::default()
        }
    }

    #[test]
    fn parts_become_a_valid_event_with_a_content_type_that_fits_its_data() {
        for (data, fits) in [
            ("{\"a\": 1}", "application/json"),
            ("a: 1", "text/plain"),
            ("17", "application/json"),
        ] {
            let event = args("t", data).build().unwrap();
            assert_eq!(event.datacontenttype(), Some(fits), "{data}");
            assert_eq!(event.data().unwrap(), data.as_bytes());
            assert_eq!(event.id().len(), 32);
        }
    }

    #[test]
    fn what_is_no_event_says_which_rule_it_breaks() {
        let mut wrong = args("t", "x");
        wrong.attr.push("Bad_Name=1".to_owned());
        let error = wrong.build().unwrap_err();
        assert_eq!(error.code(), 64);
        assert!(error.to_string().contains("Bad_Name"), "{error}");
        assert!(
            EventArgs::default()
                .build()
                .unwrap_err()
                .to_string()
                .contains("--type")
        );
        wrong.attr = vec!["team".to_owned()];
        assert!(wrong.build().unwrap_err().to_string().contains("NAME=VALUE"));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = input("--data", "@/no/such/file").unwrap_err().to_string();
        assert!(error.starts_with("--data @/no/such/file: "), "{error}");
    }
}
