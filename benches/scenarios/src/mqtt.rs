//! What the MQTT tools share: the event as an MQTT 5 message in binary mode, and settings of rumqttc that do not waste.

use std::time::Duration;

use rumqttc::{
    AsyncClient, BrokerSessionResumePolicy, Event, EventLoop, MqttOptions, Outgoing, Packet, Publish,
    PublishProperties, QoS, SessionMode,
};

use crate::{Failure, event};

/// The most that is received and not acknowledged, or sent and not confirmed.
pub const WINDOW: u16 = 1000;

/// Requests that rumqttc handles in one turn; its default is one.
const BATCH: usize = 64;

/// Settings: MQTT 5, [`WINDOW`] messages on their way, packets as large as an event can be.
#[must_use]
pub fn options(port: u16, client: &str, session: SessionMode) -> MqttOptions {
    let mut options = MqttOptions::new(client, ("127.0.0.1", port));
    options.set_session_mode(session);
    if session == SessionMode::Persistent {
        // A new process knows nothing of the session; what it had received and not acknowledged comes again.
        options.set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly);
        options.set_session_expiry_interval(Some(3600));
    }
    options.set_receive_maximum(Some(WINDOW));
    options.set_outgoing_inflight_upper_limit(WINDOW);
    options.set_max_packet_size(Some(1 << 20));
    options.set_max_request_batch(BATCH);
    options
}

/// A client whose requests never wait, so that the task which polls may make them.
#[must_use]
pub fn client(options: MqttOptions) -> (AsyncClient, EventLoop) {
    AsyncClient::builder(options).unbounded().build()
}

/// Makes a session that holds every message of `topic` for `client`, and leaves it to the broker.
///
/// # Errors
/// The broker is not there, or takes no subscription.
pub async fn reserve(port: u16, client_id: &str, topic: &str) -> Result<(), Failure> {
    let (client, mut events) = client(options(port, client_id, SessionMode::Persistent));
    client.subscribe(topic, QoS::AtLeastOnce).await?;
    loop {
        match events.poll().await? {
            Event::Incoming(Packet::SubAck(_)) => client.disconnect().await?,
            Event::Outgoing(Outgoing::Disconnect) => return Ok(()),
            _ => {}
        }
    }
}

/// How long a broker may be silent before a run is given up.
pub const SILENCE: Duration = Duration::from_secs(60);

/// The properties of event number `n` in binary mode.
#[must_use]
pub fn properties(n: usize) -> PublishProperties {
    let attributes = event::ATTRIBUTES
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    PublishProperties {
        user_properties: attributes.chain([("id".to_owned(), event::id(n))]).collect(),
        content_type: Some(event::CONTENT_TYPE.to_owned()),
        ..PublishProperties::default()
    }
}

/// Which event it is, if it is one of ours as it was sent.
#[must_use]
pub fn number(message: &Publish, data: &[u8]) -> Option<usize> {
    let properties = message.properties.as_ref()?;
    let get = |name: &str| {
        let mut all = properties.user_properties.iter();
        all.find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    };
    let whole = event::ATTRIBUTES
        .iter()
        .all(|(name, value)| get(name) == Some(value))
        && properties.content_type.as_deref() == Some(event::CONTENT_TYPE)
        && message.payload == data;
    event::number(get("id")?.as_bytes()).filter(|_| whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leads_back_to_its_event_unless_it_changed() {
        let data = event::data();
        let mut message = Publish::new("t", QoS::AtLeastOnce, data.clone(), Some(properties(7)));
        assert_eq!(number(&message, &data), Some(7));
        assert_eq!(number(&message, b"{}"), None);
        message.properties = None;
        assert_eq!(number(&message, &data), None);
    }
}
