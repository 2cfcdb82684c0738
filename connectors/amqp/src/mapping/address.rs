//! Where an event goes: a fixed address, or one that a template makes.
//!
//! Invariant: a value in a template cannot change the meaning of the address around it (C34): what brokers take for a
//! separator of levels, a wildcard or a queue within an address is refused. A dot is let through: types have them.

use std::borrow::Cow;
use std::collections::HashSet;

use weft_api::config::{Finding, Node};
use weft_api::event::Event;
use weft_api::outcome::{Reason, SendError};
use weft_api::template::{Scope, Template, guard};

use crate::config::{EgressSection, at, legal};

/// What some broker gives a meaning in an address: levels, wildcards, queues within addresses, options.
const FORBIDDEN: &[char] = &['/', '*', '#', '>', ':', '?', ';', '&', '%', '\\', ' '];

/// Where events go.
pub(crate) enum Address {
    /// Always there.
    Fixed(String),
    /// Where the event says, among these if any are given.
    Template {
        template: Template,
        allowed: Option<HashSet<String>>,
    },
}

impl Address {
    /// Reads `address` and `addresses`.
    pub(crate) fn new(section: &EgressSection, node: &Node, findings: &mut Vec<Finding>) -> Option<Address> {
        let place = at(node, "address");
        for address in section
            .addresses
            .iter()
            .flatten()
            .filter(|address| !legal(address))
        {
            findings.push(Finding::error(
                at(node, "addresses"),
                format!("`{}` cannot be an address", address.escape_debug()),
                "1 to 4096 bytes without control characters",
            ));
        }
        let template = match Template::parse(&section.address, &Scope::EGRESS) {
            Ok(template) => template,
            Err(error) => {
                let what = format!("`{}`, column {}: {}", section.address, error.column, error.what);
                findings.push(Finding::error(place, what, error.remedy));
                return None;
            }
        };
        let Some(fixed) = template.as_constant() else {
            let allowed = section
                .addresses
                .as_ref()
                .map(|addresses| addresses.iter().cloned().collect());
            return Some(Address::Template { template, allowed });
        };
        if section.addresses.is_some() {
            findings.push(Finding::error(
                at(node, "addresses"),
                "an allow-list stands beside a template only, and `address` is none",
                "leave `addresses` out",
            ));
        }
        if !legal(fixed) {
            findings.push(Finding::error(
                place,
                "the address is empty, too long, or has control characters",
                "write the name of a queue or topic, such as `address: jobs`",
            ));
        }
        Some(Address::Fixed(fixed.to_owned()))
    }

    /// Whether it comes out of a template: then a bad one is the event's fault.
    pub(crate) fn templated(&self) -> bool {
        matches!(self, Address::Template { .. })
    }

    /// The one address, where it is not a template.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self {
            Address::Fixed(address) => Some(address),
            Address::Template { .. } => None,
        }
    }

    /// The event's address.
    ///
    /// # Errors
    /// The event lacks what the template names, or names what is no address, or one that is not allowed.
    pub(crate) fn of(&self, event: &Event) -> Result<Cow<'_, str>, SendError> {
        let (template, allowed) = match self {
            Address::Fixed(address) => return Ok(Cow::Borrowed(address)),
            Address::Template { template, allowed } => (template, allowed),
        };
        let mut address = String::new();
        template
            .render_guarded(event, &guard::level(FORBIDDEN), &mut address)
            .map_err(|missing| refused(format!("`address`: {missing}")))?;
        if !legal(&address) {
            return Err(refused(
                "`address` gives an address that is empty or too long".into(),
            ));
        }
        match allowed {
            Some(allowed) if !allowed.contains(&address) => Err(refused(format!(
                "`address` gives `{address}`, which is not in `addresses`"
            ))),
            _ => Ok(Cow::Owned(address)),
        }
    }
}

fn refused(detail: String) -> SendError {
    SendError::event(Reason::Address, detail)
}
