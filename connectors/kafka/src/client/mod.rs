//! What every client of librdkafka has in common: its settings, and a voice that does not flood.
//!
//! Owns: the translation of `brokers`, `tls`, `auth` and `librdkafka` into librdkafka's settings.
//! Invariant: our own settings are written after the pass-through ones, so that nothing can override them.

pub(crate) mod voice;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

use crate::config::Remote;

/// The settings of any client. `client_id` is `NODE-CONNECTOR`.
///
/// # Errors
/// The first setting that librdkafka does not know or whose value it does not take, in one line.
pub(crate) fn settings(remote: &Remote, client_id: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    // Bounded, so that a broker that comes back is found soon, and spread, so that not all come at once.
    config
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "5000");
    config.set("socket.keepalive.enable", "true");
    // A connection that an idle broker closes is no news.
    config.set("log.connection.close", "false");
    // How soon a topic that appears is seen.
    config.set("topic.metadata.refresh.interval.ms", "30000");
    for (key, value) in &remote.librdkafka {
        config.set(key.as_str(), value.to_string());
    }
    config.set("bootstrap.servers", remote.list());
    config.set("client.id", client_id);
    config.set_log_level(RDKafkaLogLevel::Info);
    let protocol = match (&remote.tls, &remote.auth) {
        (None, None) => "plaintext",
        (Some(_), None) => "ssl",
        (None, Some(_)) => "sasl_plaintext",
        (Some(_), Some(_)) => "sasl_ssl",
    };
    config.set("security.protocol", protocol);
    if let Some(tls) = &remote.tls {
        for (key, file) in [
            ("ssl.ca.location", &tls.ca),
            ("ssl.certificate.location", &tls.cert),
            ("ssl.key.location", &tls.key),
        ] {
            if let Some(file) = file {
                config.set(key, file);
            }
        }
        if tls.insecure {
            config.set("enable.ssl.certificate.verification", "false");
        }
    }
    if let Some(auth) = &remote.auth {
        config.set("sasl.mechanism", auth.mechanism.as_str());
        config.set("sasl.username", &auth.user);
        config.set("sasl.password", &auth.password);
    }
    config
}
