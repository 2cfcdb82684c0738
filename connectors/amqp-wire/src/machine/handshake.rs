//! From the first byte to a session: SASL, open, begin.

use bytes::Bytes;

use super::connection::{Connection, Phase, out_of_place};
use super::event::{Ended, Event, Violation};
use super::link::LINKS_MAX;
use crate::condition;
use crate::frame::{self, FRAME_SIZE_MIN, ProtocolHeader};
use crate::login::{Exchange, LoginError};
use crate::performative::{Begin, Open};
use crate::sasl::{Code, Init, Response, Sasl};

/// The largest frame that we write, whatever the peer would take.
const OUR_FRAME_MAX: u32 = 1 << 20;

impl Connection {
    /// The peer's header.
    pub(super) fn header(&mut self, header: ProtocolHeader) {
        let sasl = matches!(self.phase, Phase::SaslHeader);
        self.phase = match header {
            ProtocolHeader::SASL if sasl => Phase::SaslMechanisms,
            ProtocolHeader::AMQP if !sasl => Phase::Opening,
            ProtocolHeader::AMQP => {
                let what = "the peer does not want SASL, without which nobody is let in here";
                return self.end(Ended::Protocol(what.into()));
            }
            ProtocolHeader {
                id,
                major,
                minor,
                revision,
            } => {
                let what = format!(
                    "the peer speaks AMQP {major}.{minor}.{revision} (protocol {id}); AMQP 1.0 is needed"
                );
                return self.end(Ended::Protocol(what));
            }
        };
    }

    /// A step of SASL.
    pub(super) fn sasl(&mut self, body: &Bytes) -> Result<(), Violation> {
        let step = Sasl::decode(body)?;
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        match (phase, step) {
            (Phase::SaslMechanisms, Sasl::Mechanisms(offer)) => {
                match Exchange::begin(&self.config.login, &offer.sasl_server_mechanisms) {
                    Ok((exchange, mechanism, initial_response)) => {
                        let init = Init {
                            mechanism,
                            initial_response,
                            hostname: self.config.hostname.clone(),
                        };
                        self.out.answer(|out| frame::write_sasl(out, &init));
                        self.phase = Phase::SaslExchange(exchange);
                    }
                    Err(error) => self.end(Ended::Login(error)),
                }
            }
            (Phase::SaslExchange(mut exchange), Sasl::Challenge(challenge)) => {
                match exchange.answer(&challenge.challenge) {
                    Ok(response) => {
                        let response = Response { response };
                        self.out.answer(|out| frame::write_sasl(out, &response));
                        self.phase = Phase::SaslExchange(exchange);
                    }
                    Err(error) => self.end(Ended::Login(error)),
                }
            }
            (Phase::SaslExchange(mut exchange), Sasl::Outcome(outcome)) => {
                let mechanism = exchange.name();
                let result = match outcome.code {
                    Code::Ok => exchange.succeeded(outcome.additional_data.as_deref()),
                    Code::Auth | Code::SysPerm => Err(LoginError::Refused { mechanism }),
                    Code::Sys | Code::SysTemp => Err(LoginError::Unavailable),
                };
                match result {
                    Ok(()) => self.open(),
                    Err(error) => self.end(Ended::Login(error)),
                }
            }
            (phase, _) => {
                self.phase = phase;
                return Err(out_of_place("SASL's steps came out of order"));
            }
        }
        Ok(())
    }

    /// We are in.
    fn open(&mut self) {
        self.out
            .answer(|out| out.extend_from_slice(&ProtocolHeader::AMQP.to_bytes()));
        let open = Open {
            container_id: self.config.container_id.clone(),
            hostname: self.config.hostname.clone(),
            max_frame_size: self.config.max_frame_size,
            // One session.
            channel_max: 0,
            idle_time_out: self.idle.asked(),
            properties: self.config.properties.clone(),
            ..Open::default()
        };
        self.write(&open);
        self.phase = Phase::AmqpHeader;
    }

    /// The peer's open.
    pub(super) fn opened(&mut self, open: &Open) -> Result<(), Violation> {
        if !matches!(self.phase, Phase::Opening) {
            return Err(out_of_place("a second open came"));
        }
        if open.max_frame_size < FRAME_SIZE_MIN {
            let what = format!(
                "it takes frames of {} bytes only; {FRAME_SIZE_MIN} is the least",
                open.max_frame_size
            );
            return Err(Violation::new(condition::INVALID_FIELD, what));
        }
        self.peer_frame_max = open.max_frame_size.min(OUR_FRAME_MAX);
        self.idle.peer(open.idle_time_out);
        self.peer = open.properties.clone();
        let begin = self
            .session
            .begin(u32::try_from(LINKS_MAX - 1).unwrap_or(u32::MAX));
        self.write(&begin);
        self.phase = Phase::Beginning;
        Ok(())
    }

    /// The peer's begin.
    pub(super) fn begun(&mut self, begin: &Begin, channel: u16) -> Result<(), Violation> {
        if !matches!(self.phase, Phase::Beginning) || begin.remote_channel != Some(super::connection::CHANNEL)
        {
            return Err(Violation::new(
                condition::NOT_ALLOWED,
                "it begins a session of its own; one of ours is all there is",
            ));
        }
        self.session.begun(begin, channel);
        self.peer_handle_max = begin.handle_max;
        self.phase = Phase::Up;
        self.events.push_back(Event::Opened);
        Ok(())
    }
}
