//! The error conditions of the specification (transport 2.8.15 to 2.8.18), as the symbols that travel.

/// An internal error occurred; an operator may have to act.
pub const INTERNAL_ERROR: &str = "amqp:internal-error";
/// The peer named an entity that does not exist.
pub const NOT_FOUND: &str = "amqp:not-found";
/// The peer has no right to do this.
pub const UNAUTHORIZED_ACCESS: &str = "amqp:unauthorized-access";
/// Data could not be decoded.
pub const DECODE_ERROR: &str = "amqp:decode-error";
/// The peer is over its quota.
pub const RESOURCE_LIMIT_EXCEEDED: &str = "amqp:resource-limit-exceeded";
/// The frame is inconsistent with the state of the remote entity.
pub const NOT_ALLOWED: &str = "amqp:not-allowed";
/// A field has an invalid value.
pub const INVALID_FIELD: &str = "amqp:invalid-field";
/// The peer asked for something that is not implemented.
pub const NOT_IMPLEMENTED: &str = "amqp:not-implemented";
/// Another client works with the entity.
pub const RESOURCE_LOCKED: &str = "amqp:resource-locked";
/// A precondition was not met.
pub const PRECONDITION_FAILED: &str = "amqp:precondition-failed";
/// The entity was deleted.
pub const RESOURCE_DELETED: &str = "amqp:resource-deleted";
/// The frame is not permitted in the state of the session.
pub const ILLEGAL_STATE: &str = "amqp:illegal-state";
/// The smallest encoding of the performative does not fit the agreed maximum frame size.
pub const FRAME_SIZE_TOO_SMALL: &str = "amqp:frame-size-too-small";

/// An operator closed the connection.
pub const CONNECTION_FORCED: &str = "amqp:connection:forced";
/// No valid frame header can be formed from the incoming bytes.
pub const FRAMING_ERROR: &str = "amqp:connection:framing-error";
/// The container is to be found at another address.
pub const CONNECTION_REDIRECT: &str = "amqp:connection:redirect";

/// The peer sent more transfers than the window allows.
pub const WINDOW_VIOLATION: &str = "amqp:session:window-violation";
/// Input was received for a link that was detached with an error.
pub const ERRANT_LINK: &str = "amqp:session:errant-link";
/// An attach used a handle that is in use.
pub const HANDLE_IN_USE: &str = "amqp:session:handle-in-use";
/// A frame (other than attach) used a handle that is not attached.
pub const UNATTACHED_HANDLE: &str = "amqp:session:unattached-handle";

/// An operator detached the link.
pub const DETACH_FORCED: &str = "amqp:link:detach-forced";
/// More transfers than credit.
pub const TRANSFER_LIMIT_EXCEEDED: &str = "amqp:link:transfer-limit-exceeded";
/// The message is larger than the link allows.
pub const MESSAGE_SIZE_EXCEEDED: &str = "amqp:link:message-size-exceeded";
/// The address is to be found elsewhere.
pub const LINK_REDIRECT: &str = "amqp:link:redirect";
/// The link was attached elsewhere.
pub const LINK_STOLEN: &str = "amqp:link:stolen";
