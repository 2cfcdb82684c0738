//! The log: text for people or JSON for collectors, on standard error, filtered by `--log` or `WEFT_LOG`.
//!
//! Owns the one subscriber of the process. Standard output stays free for what commands print. Lines carry fields,
//! not sentences: ERROR = an operator must act, WARN = recovered, INFO = life cycle, and nothing per event.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// How lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One line a record, for people.
    Text,
    /// One JSON object a record, for collectors.
    Json,
}

/// What is logged, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogSpec {
    format: Format,
    filter: String,
}

/// What `--log` or `WEFT_LOG` says cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log setting {given:?} is not understood ({why}); write a level (\"info\"), targets \
     (\"info,weft_kafka=debug\"), or either after \"json:\""
)]
pub struct LogSpecError {
    given: String,
    why: String,
}

impl LogSpec {
    /// Reads `[text:|json:][FILTER]`: `info`, `json`, `json:debug`, `warn,weft_kafka=debug`. Nothing = text at INFO.
    ///
    /// # Errors
    /// The filter names no level or target.
    pub fn parse(given: &str) -> Result<LogSpec, LogSpecError> {
        let (format, filter) = match given.split_once(':') {
            Some(("json", rest)) => (Format::Json, rest),
            Some(("text", rest)) => (Format::Text, rest),
            _ if given == "json" => (Format::Json, ""),
            _ if given == "text" => (Format::Text, ""),
            _ => (Format::Text, given),
        };
        let filter = if filter.trim().is_empty() {
            "info"
        } else {
            filter.trim()
        };
        let refuse = |why: String| LogSpecError {
            given: given.to_owned(),
            why,
        };
        for part in filter.split(',') {
            // EnvFilter takes any bare word for a target's name: a level that is misspelt would silence the log.
            if !part.contains('=') && part.parse::<tracing::Level>().is_err() && part != "off" {
                return Err(refuse(format!(
                    "{part:?} is not one of off, error, warn, info, debug, trace"
                )));
            }
        }
        EnvFilter::try_new(filter).map_err(|e| refuse(e.to_string()))?;
        Ok(LogSpec {
            format,
            filter: filter.to_owned(),
        })
    }

    /// The command line wins over `WEFT_LOG`.
    ///
    /// # Errors
    /// As [`LogSpec::parse`].
    pub fn choose(flag: Option<&str>, env: Option<&str>) -> Result<LogSpec, LogSpecError> {
        LogSpec::parse(flag.or(env).unwrap_or(""))
    }

    /// Whether it is for collectors, who understand nothing but its lines.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Starts the log. A second call keeps the first subscriber: tests of one process may race here.
    pub fn install(&self) {
        let filter = EnvFilter::new(&self.filter);
        let builder = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr);
        // Refused only when a subscriber stands already, which is the wanted end.
        let _ = match self.format {
            Format::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
            Format::Json => builder
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .try_init(),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parsed(given: &str) -> (Format, String) {
        let spec = LogSpec::parse(given).unwrap();
        (spec.format, spec.filter)
    }

    #[test]
    fn the_format_stands_before_the_filter() {
        assert_eq!(parsed(""), (Format::Text, "info".into()));
        assert_eq!(parsed("json"), (Format::Json, "info".into()));
        assert_eq!(parsed("json:debug"), (Format::Json, "debug".into()));
        assert_eq!(parsed("text:warn"), (Format::Text, "warn".into()));
        assert_eq!(
            parsed("warn,weft_kafka=debug"),
            (Format::Text, "warn,weft_kafka=debug".into())
        );
    }

    #[test]
    fn a_misspelt_level_is_refused_and_does_not_silence_the_log() {
        for wrong in ["inof", "json:deubg", "info,weft=loud"] {
            let error = LogSpec::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("write a level"), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_flag_wins_over_the_environment() {
        assert_eq!(
            LogSpec::choose(Some("debug"), Some("warn")),
            LogSpec::parse("debug")
        );
        assert_eq!(LogSpec::choose(None, Some("warn")), LogSpec::parse("warn"));
        assert_eq!(LogSpec::choose(None, None), LogSpec::parse("info"));
    }
}
