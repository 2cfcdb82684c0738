//! The suite that every connector runs.
//!
//! Owns: [`harness`], which plays the router's part, and the cases of [`suite`], each of which cites the clause of the
//! delivery contract that it holds. A connector gives its subjects ([`IngressSubject`], [`EgressSubject`]): how its ingress and egress are built against a
//! remote, and how a test looks into that remote. The macros [`ingress_suite`] and [`egress_suite`] make one test of
//! each case, and one that holds `docs/connectors/conformance.md` against the subject's waivers.
//!
//! Must not know: any protocol.

#![forbid(unsafe_code)]

pub mod events;
pub mod harness;
mod section;
mod subject;
pub mod suite;

pub use section::section;
pub use subject::{EgressSubject, IngressSubject, Remote, Shape, TooLarge};
pub use suite::hurts;
