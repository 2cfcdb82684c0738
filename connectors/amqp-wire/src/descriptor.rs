//! Descriptors of the specification's composite types: the number that travels and the symbol that may stand for it.

macro_rules! descriptors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $symbol:literal;)*) => {
        $($(#[$doc])* pub const $name: u64 = $code;)*

        /// The number behind a symbolic descriptor.
        pub(crate) fn by_symbol(symbol: &[u8]) -> Option<u64> {
            const SYMBOLS: &[(&str, u64)] = &[$(($symbol, $code)),*];
            SYMBOLS.iter().find(|(known, _)| known.as_bytes() == symbol).map(|(_, code)| *code)
        }
    };
}

descriptors! {
    /// Transport 2.7.1.
    OPEN = 0x10, "amqp:open:list";
    /// Transport 2.7.2.
    BEGIN = 0x11, "amqp:begin:list";
    /// Transport 2.7.3.
    ATTACH = 0x12, "amqp:attach:list";
    /// Transport 2.7.4.
    FLOW = 0x13, "amqp:flow:list";
    /// Transport 2.7.5.
    TRANSFER = 0x14, "amqp:transfer:list";
    /// Transport 2.7.6.
    DISPOSITION = 0x15, "amqp:disposition:list";
    /// Transport 2.7.7.
    DETACH = 0x16, "amqp:detach:list";
    /// Transport 2.7.8.
    END = 0x17, "amqp:end:list";
    /// Transport 2.7.9.
    CLOSE = 0x18, "amqp:close:list";
    /// Transport 2.8.14.
    ERROR = 0x1d, "amqp:error:list";
    /// Messaging 3.4.1.
    RECEIVED = 0x23, "amqp:received:list";
    /// Messaging 3.4.2.
    ACCEPTED = 0x24, "amqp:accepted:list";
    /// Messaging 3.4.3.
    REJECTED = 0x25, "amqp:rejected:list";
    /// Messaging 3.4.4.
    RELEASED = 0x26, "amqp:released:list";
    /// Messaging 3.4.5.
    MODIFIED = 0x27, "amqp:modified:list";
    /// Messaging 3.5.3.
    SOURCE = 0x28, "amqp:source:list";
    /// Messaging 3.5.4.
    TARGET = 0x29, "amqp:target:list";
    /// Security 5.3.3.1.
    SASL_MECHANISMS = 0x40, "amqp:sasl-mechanisms:list";
    /// Security 5.3.3.2.
    SASL_INIT = 0x41, "amqp:sasl-init:list";
    /// Security 5.3.3.3.
    SASL_CHALLENGE = 0x42, "amqp:sasl-challenge:list";
    /// Security 5.3.3.4.
    SASL_RESPONSE = 0x43, "amqp:sasl-response:list";
    /// Security 5.3.3.5.
    SASL_OUTCOME = 0x44, "amqp:sasl-outcome:list";
    /// Messaging 3.2.1.
    HEADER = 0x70, "amqp:header:list";
    /// Messaging 3.2.2.
    DELIVERY_ANNOTATIONS = 0x71, "amqp:delivery-annotations:map";
    /// Messaging 3.2.3.
    MESSAGE_ANNOTATIONS = 0x72, "amqp:message-annotations:map";
    /// Messaging 3.2.4.
    PROPERTIES = 0x73, "amqp:properties:list";
    /// Messaging 3.2.5.
    APPLICATION_PROPERTIES = 0x74, "amqp:application-properties:map";
    /// Messaging 3.2.6.
    DATA = 0x75, "amqp:data:binary";
    /// Messaging 3.2.7.
    AMQP_SEQUENCE = 0x76, "amqp:amqp-sequence:list";
    /// Messaging 3.2.8.
    AMQP_VALUE = 0x77, "amqp:amqp-value:*";
    /// Messaging 3.2.9.
    FOOTER = 0x78, "amqp:footer:map";
}
