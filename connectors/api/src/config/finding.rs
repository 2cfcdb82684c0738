//! One mistake in a configuration file, as a person wants to read it.

use std::fmt;

use super::node::{Node, Span};

/// How bad a finding is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The file cannot be run.
    Error,
    /// It can be run, and does something that the writer may not want.
    Warning,
}

/// What is wrong, where, and what to write instead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub span: Span,
    /// The path to it (`ingress.web.http.listen`).
    pub path: String,
    /// What is wrong, in one sentence without a full stop.
    pub what: String,
    /// What to write instead; may be empty only where `what` says it already.
    pub remedy: String,
}

impl Finding {
    /// An error at `node`.
    pub fn error(node: &Node, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Error,
            span: node.span.clone(),
            path: node.path.to_string(),
            what: what.into(),
            remedy: remedy.into(),
        }
    }

    /// A warning at `node`.
    pub fn warning(node: &Node, what: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding {
            severity: Severity::Warning,
            ..Finding::error(node, what, remedy)
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {word}: ", self.span)?;
        // What concerns a file as a whole has no path.
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.what)?;
        if !self.remedy.is_empty() {
            write!(f, "\n    {}", self.remedy)?;
        }
        Ok(())
    }
}
