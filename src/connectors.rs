//! THE list of built-in connectors, one line each.
//!
//! No macro, no life before main: what is not in this list does not exist for the router.

use weft_api::connector::Connector;

/// Every connector that this binary was built with, in the order in which help and schema show them. `inproc` itself
/// is not among them: it takes its events from a test that holds the other end.
pub const ALL: &[&dyn Connector] = &[
    #[cfg(feature = "http")]
    &weft_http::Http,
    #[cfg(feature = "kafka")]
    &weft_kafka::Kafka,
    #[cfg(feature = "amqp")]
    &weft_amqp::Amqp,
    #[cfg(feature = "mqtt")]
    &weft_mqtt::Mqtt,
    #[cfg(feature = "inproc")]
    &weft_inproc::Log,
];
