//! What the file may say about MQTT: the sections' serde types, and the checks that types cannot express.
//!
//! Owns: the keys that both sections share (address, version, TLS, credentials, client id).
//! Invariants: parsing is pure; a section that decodes and checks can be built; a key that the chosen version of MQTT
//! does not have is refused, never left without effect.
//! Does not know: how the settings are put to use (`client`, `ingress`, `egress`).

mod egress;
mod ingress;
#[cfg(test)]
mod tests;
mod version;

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use weft_api::config::{Finding, HumanDuration, Node, decode};
use weft_api::connector::{EgressSettings, IngressSettings};
use weft_net::{Address, AddressError, Scheme, Tls};

use crate::mapping::{FIELD_MAX, Layout, Mapping};

pub(crate) use egress::{EgressSection, Mode};
pub(crate) use ingress::{IngressSection, Retain};
pub(crate) use version::{Qos, Version};

/// Who we are to the broker.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MqttAuth")]
pub(crate) struct Auth {
    /// The user's name.
    pub(crate) user: String,
    /// The user's password; write `${file:...}`, not the password. Absent: none is sent.
    pub(crate) password: Option<String>,
}

impl Auth {
    fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let password = self.password.as_deref().map(|password| ("password", password));
        std::iter::once(("user", self.user.as_str())).chain(password)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Auth({})", self.user)
    }
}

/// The keys that both sections, and `connections.NAME.mqtt`, have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote<'a> {
    /// `url:`.
    pub(crate) url: &'a str,
    /// The protocol.
    pub(crate) version: Version,
    /// `tls:`, if any.
    pub(crate) tls: Option<&'a Tls>,
    /// `auth:`, if any.
    pub(crate) auth: Option<&'a Auth>,
}

/// What an address may begin with.
const SCHEMES: [Scheme; 2] = [
    Scheme {
        name: "mqtt",
        port: 1883,
        tls: false,
    },
    Scheme {
        name: "mqtts",
        port: 8883,
        tls: true,
    },
];

impl Remote<'_> {
    /// Where the broker is.
    ///
    /// # Errors
    /// What is wrong with `url`, and what to write instead; none once the section is checked.
    pub(crate) fn address(&self) -> Result<Address, AddressError> {
        Address::parse(self.url, &SCHEMES)
    }

    fn check(&self, section: &Node, findings: &mut Vec<Finding>) {
        if let Err(AddressError { what, remedy }) = self.address() {
            findings.push(Finding::error(at(section, "url"), what, remedy));
        }
        if let Some(tls) = self.tls {
            tls.check(at(section, "tls"), findings);
        }
        for (what, text) in self.auth.iter().flat_map(|auth| auth.fields()) {
            if text.len() > FIELD_MAX || text.contains('\0') {
                // Not shown: it may be the password.
                let what =
                    format!("the {what} is longer than 65,535 bytes or has a NUL, which MQTT cannot say");
                findings.push(Finding::error(at(section, "auth"), what, "correct it"));
            }
        }
    }
}

/// The place of `key` in `section`, or of the section where it is left to its default.
pub(crate) fn at<'a>(section: &'a Node, key: &str) -> &'a Node {
    section.get(key).unwrap_or(section)
}

fn keep_alive() -> HumanDuration {
    HumanDuration(Duration::from_secs(30))
}

/// Keep Alive is a number of seconds in two bytes; zero would switch it off.
fn check_keep_alive(section: &Node, keep_alive: HumanDuration, findings: &mut Vec<Finding>) {
    if !(1..=65_535).contains(&keep_alive.get().as_secs()) {
        findings.push(Finding::error(
            at(section, "keep_alive"),
            format!("`keep_alive: {keep_alive}` is out of bounds"),
            "use 1s to 18h, such as 30s",
        ));
    }
}

/// A client id is a string of MQTT. That each replica has its own is seen at run time only.
fn check_client_id(section: &Node, id: Option<&str>, findings: &mut Vec<Finding>) {
    if let Some(id) = id
        && (id.is_empty() || id.len() > 1024 || id.contains(char::is_control))
    {
        findings.push(Finding::error(
            at(section, "client_id"),
            "the client id is empty, too long, or has a control character",
            "give each replica its own, such as `\"weft-${HOSTNAME}\"`, or leave the key out",
        ));
    }
}

/// Reads `ingress.NAME.mqtt`, and the mapping that goes with it.
///
/// # Errors
/// Every mistake in the section, in `accept` and in `event`.
pub(crate) fn ingress(
    node: &Node,
    settings: &IngressSettings,
) -> Result<(IngressSection, Mapping), Vec<Finding>> {
    let section: IngressSection = decode(node)?;
    let mut findings = section.check(node);
    match Mapping::new(settings, node).map_err(|more| findings.extend(more)) {
        Ok(mapping) if findings.is_empty() => Ok((section, mapping)),
        _ => Err(findings),
    }
}

/// Reads `destinations.NAME.mqtt`, and how its events are laid into messages.
///
/// # Errors
/// Every mistake in the section.
pub(crate) fn egress(
    node: &Node,
    settings: &EgressSettings,
) -> Result<(EgressSection, Layout), Vec<Finding>> {
    let section: EgressSection = decode(node)?;
    let mut findings = section.check(node, settings.lossy);
    match Layout::new(&section, node).map_err(|more| findings.extend(more)) {
        Ok(layout) if findings.is_empty() => Ok((section, layout)),
        _ => Err(findings),
    }
}
