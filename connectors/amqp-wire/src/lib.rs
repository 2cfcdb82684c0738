//! AMQP 1.0 on the wire (OASIS AMQP 1.0, parts 1 to 3 and 5): types, frames, performatives, SASL, message sections, and
//! the client's end of a connection.
//!
//! Pure: bytes in, values out, and back. It knows neither sockets nor tasks nor events of Weft.
//!
//! Invariants of everything that decodes (C33): a length or count is compared with the bytes that are really there
//! before anything is allocated or entered; nesting ends at [`value::DEPTH_MAX`]; text is checked where it is read;
//! each failure is a [`DecodeError`] or a [`frame::FrameError`] that names the place and the condition to answer with.
#![forbid(unsafe_code)]

pub mod condition;
pub mod descriptor;
mod error;
pub mod frame;
pub mod login;
pub mod machine;
pub mod message;
pub mod performative;
pub mod sasl;
pub mod value;

pub use error::{DecodeError, Fault};
