//! The destination `log`: one line for each event on stdout or stderr.
//!
//! Owns: the section `log:`. A delivery is confirmed once its line is written and flushed.
//! Must not know: the router's own log, which is another thing.

mod egress;
mod line;

use std::io;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use weft_api::config::{self, Finding, Node};
use weft_api::connector::{Connector, EgressBuilder, EgressSettings, IngressBuilder, IngressSettings};
use weft_api::egress::Egress;

use egress::{LogEgress, Output};
use line::Mode;

/// The connector `log`; it has no ingress.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log;

/// `destinations.NAME.log`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Section {
    /// Where the lines go.
    to: Target,
    /// What a line holds.
    mode: Mode,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Target {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
}

impl Connector for Log {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn ingress(
        &self,
        _: &Node,
        _: &IngressSettings,
    ) -> Option<Result<Box<dyn IngressBuilder>, Vec<Finding>>> {
        None
    }

    fn egress(
        &self,
        section: &Node,
        settings: &EgressSettings,
    ) -> Option<Result<Box<dyn EgressBuilder>, Vec<Finding>>> {
        // `log:` alone, with nothing behind it, is the most usual form.
        let read = match section.value {
            config::Value::Null => Ok(Section::default()),
            _ => config::decode::<Section>(section),
        };
        let batch_bytes = settings.event_max.max(1 << 20);
        Some(read.map(|section| Box::new(Builder { section, batch_bytes }) as Box<dyn EgressBuilder>))
    }

    fn ingress_schema(&self, _: &mut SchemaGenerator) -> Option<Schema> {
        None
    }

    fn egress_schema(&self, generator: &mut SchemaGenerator) -> Option<Schema> {
        Some(generator.subschema_for::<Option<Section>>())
    }

    fn connection_keys(&self) -> &'static [&'static str] {
        &[]
    }
}

struct Builder {
    section: Section,
    batch_bytes: u64,
}

impl EgressBuilder for Builder {
    fn build(&self) -> Result<Box<dyn Egress>, String> {
        let output: Output = match self.section.to {
            Target::Stdout => Box::new(|| Box::new(io::stdout().lock())),
            Target::Stderr => Box::new(|| Box::new(io::stderr().lock())),
        };
        Ok(Box::new(LogEgress::new(
            output,
            self.address(),
            self.section.mode,
            self.batch_bytes,
        )))
    }

    fn address(&self) -> String {
        match self.section.to {
            Target::Stdout => "stdout".to_owned(),
            Target::Stderr => "stderr".to_owned(),
        }
    }
}
