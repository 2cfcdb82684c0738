//! What the AMQP tools share: a connection by fe2o3-amqp, and the event as a message in binary mode.
//!
//! fe2o3-amqp writes to the socket after each frame. [`open`] puts a pipe between, whose other end writes what has come
//! together at once: it costs the loops a third less, and a floor should not be higher than it need be.

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::SendError;
use fe2o3_amqp::link::delivery::DeliveryFut;
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::messaging::{
    ApplicationProperties, Data, Header, Message, MessageId, Outcome, Properties, Source, Target,
};
use fe2o3_amqp::types::primitives::{SimpleValue, Symbol};
use fe2o3_amqp::{Connection, Receiver, Sendable, Sender, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::TcpStream;

use crate::{Failure, event};

/// The most that is received and not settled, or sent and not confirmed.
pub const WINDOW: usize = 1000;

/// Deliveries that are settled at once, while there is more to do.
pub const SETTLE: usize = 128;

/// What attributes are prefixed with.
pub const PREFIX: &str = "cloudEvents_";

/// The `time` of [`event::ATTRIBUTES`] in milliseconds since 1970, for who writes it as a timestamp.
const TIME_MS: i64 = 1_769_846_400_000;

/// The most of a frame, and of what waits in the pipe.
const FRAME: usize = 256 * 1024;

/// The outcome of a message that is on its way.
pub type Sent = DeliveryFut<Result<Outcome, SendError>>;

/// A session on a connection of its own. Both must be held as long as links shall live.
pub struct Open {
    session: SessionHandle<()>,
    _connection: ConnectionHandle<()>,
}

/// Connects, anonymously.
///
/// # Errors
/// The broker is not there, or wants something else.
pub async fn open(address: &str, container: &str) -> Result<Open, Failure> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let mut connection = Connection::builder()
        .container_id(container)
        .scheme("amqp")
        .hostname("127.0.0.1")
        .max_frame_size(u32::try_from(FRAME)?)
        .sasl_profile(fe2o3_amqp::sasl_profile::SaslProfile::Anonymous)
        .open_with_stream(joined(socket))
        .await?;
    let session = Session::builder()
        .incoming_window(10_000)
        .outgoing_window(10_000)
        .begin(&mut connection)
        .await?;
    Ok(Open {
        session,
        _connection: connection,
    })
}

impl Open {
    /// A link from a queue; it has no credit yet.
    ///
    /// # Errors
    /// The broker refuses it.
    pub async fn receiver(&mut self, queue: &str) -> Result<Receiver, Failure> {
        let source = Source::builder()
            .address(queue)
            .capabilities(vec![Symbol::from("queue")]);
        let link = Receiver::builder()
            .name(queue)
            .source(source.build())
            .target("loop");
        let link = link.credit_mode(fe2o3_amqp::link::receiver::CreditMode::Manual);
        Ok(link.attach(&mut self.session).await?)
    }

    /// A link to a queue.
    ///
    /// # Errors
    /// The broker refuses it.
    pub async fn sender(&mut self, queue: &str) -> Result<Sender, Failure> {
        let target = Target::builder()
            .address(queue)
            .capabilities(vec![Symbol::from("queue")]);
        let link = Sender::builder()
            .name(queue)
            .source("loop")
            .target(target.build());
        Ok(link.attach(&mut self.session).await?)
    }
}

/// Credit by hand: what is not settled is never more than [`WINDOW`], and a flow is sent only for half of it.
#[derive(Debug, Default)]
pub struct Credit {
    left: usize,
}

impl Credit {
    /// Whether a message may come.
    #[must_use]
    pub fn any(&self) -> bool {
        self.left > 0
    }

    /// One has come.
    pub fn take(&mut self) {
        self.left -= 1;
    }

    /// Gives more where half of the window is free.
    ///
    /// # Errors
    /// The link has ended.
    pub async fn refill(&mut self, link: &mut Receiver, unsettled: usize) -> Result<(), Failure> {
        let free = WINDOW.saturating_sub(unsettled);
        if free.saturating_sub(self.left) >= WINDOW / 2 {
            link.set_credit(u32::try_from(free)?).await?;
            self.left = free;
        }
        Ok(())
    }
}

/// Sends a message; the future tells its outcome.
///
/// # Errors
/// The link has ended.
pub async fn send(link: &mut Sender, message: Message<Data>) -> Result<Sent, Failure> {
    let sendable = Sendable::builder().message(message).build();
    Ok(link.send_batchable(sendable).await?)
}

/// Whether it was accepted. By hand there is no second try.
///
/// # Errors
/// It was not.
pub fn accepted(outcome: Result<Outcome, SendError>) -> Result<(), Failure> {
    outcome?.accepted_or_else(|other| format!("the broker did not accept: {other:?}"))?;
    Ok(())
}

/// Event number `n` as a message in binary mode, durable, with its id as message-id.
#[must_use]
pub fn message(n: usize, data: &[u8]) -> Message<Data> {
    let id = event::id(n);
    let attributes = event::ATTRIBUTES
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .chain([("id", id.clone())]);
    let attributes = attributes.fold(ApplicationProperties::builder(), |all, (name, value)| {
        all.insert(format!("{PREFIX}{name}"), SimpleValue::String(value))
    });
    let properties = Properties::builder()
        .message_id(id)
        .content_type(event::CONTENT_TYPE);
    Message::builder()
        .header(Header::builder().durable(true).build())
        .properties(properties.build())
        .application_properties(attributes.build())
        .data(data.to_vec())
        .build()
}

/// An attribute's text.
#[must_use]
pub fn attribute<'a>(message: &'a Message<Data>, name: &str) -> Option<&'a str> {
    match message
        .application_properties
        .as_ref()?
        .get(&format!("{PREFIX}{name}"))?
    {
        SimpleValue::String(text) => Some(text),
        _ => None,
    }
}

/// The attributes of a message in binary mode: name and text.
pub fn attributes(message: &Message<Data>) -> impl Iterator<Item = (&str, &str)> {
    let properties = message.application_properties.iter().flat_map(|all| all.0.iter());
    properties.filter_map(|(name, value)| match value {
        SimpleValue::String(text) => Some((name.strip_prefix(PREFIX)?, text.as_str())),
        _ => None,
    })
}

/// The media type of the data.
#[must_use]
pub fn content_type(message: &Message<Data>) -> Option<&str> {
    Some(message.properties.as_ref()?.content_type.as_ref()?.as_str())
}

/// Which event it is, if it is one of ours as it was sent. The time may have become a timestamp.
#[must_use]
pub fn number(message: &Message<Data>, data: &[u8]) -> Option<usize> {
    let id = attribute(message, "id")?;
    let properties = message.application_properties.as_ref()?;
    let same = |(name, value): &(&str, &str)| match properties.get(&format!("{PREFIX}{name}")) {
        Some(SimpleValue::String(text)) => text == value,
        Some(SimpleValue::Timestamp(at)) => *name == "time" && at.milliseconds() == TIME_MS,
        _ => false,
    };
    let whole = event::ATTRIBUTES.iter().all(same)
        && properties.0.len() == event::ATTRIBUTES.len() + 1
        && content_type(message) == Some(event::CONTENT_TYPE)
        && message.properties.as_ref()?.message_id == Some(MessageId::String(id.to_owned()))
        && message.body.0 == data;
    event::number(id.as_bytes()).filter(|_| whole)
}

/// A stream whose writes come together while the socket is busy, or while the frames of one turn are made.
fn joined(socket: TcpStream) -> DuplexStream {
    let (near, far) = tokio::io::duplex(FRAME);
    let (mut from_client, mut to_client) = tokio::io::split(far);
    let (mut from_broker, mut to_broker) = socket.into_split();
    tokio::spawn(async move {
        let mut buffer = vec![0; FRAME];
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            if to_broker.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    tokio::spawn(async move {
        let mut buffer = vec![0; FRAME];
        while let Ok(read @ 1..) = from_broker.read(&mut buffer).await {
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    });
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_leads_back_to_its_event_unless_it_changed() {
        let data = event::data();
        let mut sent = message(7, &data);
        assert_eq!(number(&sent, &data), Some(7));
        assert_eq!(attributes(&sent).count(), event::ATTRIBUTES.len() + 1);
        assert_eq!(number(&sent, b"{}"), None);
        sent.properties = None;
        assert_eq!(number(&sent, &data), None);
    }
}
