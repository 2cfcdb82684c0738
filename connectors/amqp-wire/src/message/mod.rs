//! Messages of format 0 (messaging 3.2): their sections read as they lie in the payload, and written in order.
//!
//! Reading borrows: no map is built, text and binary point into the payload, and data is shared, not copied, unless it
//! comes in several sections. Absent sections are as the specification's defaults; sections out of order, repeated or
//! malformed are errors. What the sections mean to Weft is not known here.

mod body;
mod entries;
mod header;
mod properties;
mod read;
mod write;

pub use body::{Body, Data, Sequences};
pub use entries::{Annotations, ApplicationProperties, Entries};
pub use header::Header;
pub use properties::{MessageId, Properties};
pub use read::Message;
pub use write::{MapWriter, MessageWriter};

/// The message format of this module, as transfers name it.
pub const FORMAT: u32 = 0;
