//! The SASL layer (security 5.3): its five frame bodies. What stands in them (PLAIN, SCRAM) is not known here.
//!
//! Responses hold secrets: their `Debug` shows lengths.

use std::fmt;

use bytes::Bytes;

use crate::descriptor;
use crate::error::{DecodeError, Fault};
use crate::performative::Encode;
use crate::value::{FieldReader, FieldWriter, Reader, Symbol, Text};

/// One step of the exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sasl {
    /// The server's mechanisms.
    Mechanisms(Mechanisms),
    /// The client's choice.
    Init(Init),
    /// The server asks.
    Challenge(Challenge),
    /// The client answers.
    Response(Response),
    /// The server's verdict.
    Outcome(Outcome),
}

/// What the server offers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Mechanisms {
    /// Names as in the registry of SASL mechanisms, in the server's order.
    pub sasl_server_mechanisms: Vec<Symbol>,
}

/// What the client chooses.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Init {
    /// The name of the mechanism.
    pub mechanism: Symbol,
    /// The first response, for mechanisms where the client begins.
    pub initial_response: Option<Bytes>,
    /// The host that is meant.
    pub hostname: Option<Text>,
}

/// The server's challenge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Challenge {
    /// As the mechanism says.
    pub challenge: Bytes,
}

/// The client's response.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Response {
    /// As the mechanism says.
    pub response: Bytes,
}

/// How the exchange ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The verdict.
    pub code: Code,
    /// Data that comes with success (the server's proof in SCRAM).
    pub additional_data: Option<Bytes>,
}

/// Verdicts (security 5.3.3.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Code {
    /// Authenticated.
    Ok,
    /// Wrong name, password or certificate.
    Auth,
    /// The server failed.
    Sys,
    /// The server failed, and will until somebody acts.
    SysPerm,
    /// The server failed, and may not the next time.
    SysTemp,
}

impl Code {
    fn get(f: &mut FieldReader<'_>) -> Result<Self, DecodeError> {
        match f.must::<u8>("code")? {
            0 => Ok(Self::Ok),
            1 => Ok(Self::Auth),
            2 => Ok(Self::Sys),
            3 => Ok(Self::SysPerm),
            4 => Ok(Self::SysTemp),
            _ => Err(f.invalid("code")),
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Auth => 1,
            Self::Sys => 2,
            Self::SysPerm => 3,
            Self::SysTemp => 4,
        }
    }
}

impl Sasl {
    /// Reads the body of a SASL frame.
    ///
    /// # Errors
    /// A malformed or unknown body, or bytes behind it.
    pub fn decode(body: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let start = reader;
        let code = reader.descriptor().map_err(|e| e.within("sasl frame"))?;
        let open = FieldReader::open;
        let step = match code {
            descriptor::SASL_MECHANISMS => Self::Mechanisms(Mechanisms {
                sasl_server_mechanisms: open(&mut reader, "sasl-mechanisms")?
                    .must("sasl-server-mechanisms")?,
            }),
            descriptor::SASL_INIT => {
                let mut f = open(&mut reader, "sasl-init")?;
                Self::Init(Init {
                    mechanism: f.must("mechanism")?,
                    initial_response: f.opt()?,
                    hostname: f.opt()?,
                })
            }
            descriptor::SASL_CHALLENGE => Self::Challenge(Challenge {
                challenge: open(&mut reader, "sasl-challenge")?.must("challenge")?,
            }),
            descriptor::SASL_RESPONSE => Self::Response(Response {
                response: open(&mut reader, "sasl-response")?.must("response")?,
            }),
            descriptor::SASL_OUTCOME => {
                let mut f = open(&mut reader, "sasl-outcome")?;
                Self::Outcome(Outcome {
                    code: Code::get(&mut f)?,
                    additional_data: f.opt()?,
                })
            }
            unknown => return Err(start.fault(Fault::Descriptor(unknown)).within("sasl frame")),
        };
        reader.end().map_err(|e| e.within("sasl frame"))?;
        Ok(step)
    }
}

impl Encode for Sasl {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Mechanisms(step) => step.encode(out),
            Self::Init(step) => step.encode(out),
            Self::Challenge(step) => step.encode(out),
            Self::Response(step) => step.encode(out),
            Self::Outcome(step) => step.encode(out),
        }
    }
}

impl Encode for Mechanisms {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::SASL_MECHANISMS);
        f.with(|out| crate::value::write::symbols(out, &self.sasl_server_mechanisms));
        f.end();
    }
}

impl Encode for Init {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::SASL_INIT);
        f.put(&self.mechanism)
            .opt(self.initial_response.as_ref())
            .opt(self.hostname.as_ref());
        f.end();
    }
}

impl Encode for Challenge {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::SASL_CHALLENGE);
        f.put(&self.challenge);
        f.end();
    }
}

impl Encode for Response {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::SASL_RESPONSE);
        f.put(&self.response);
        f.end();
    }
}

impl Encode for Outcome {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut f = FieldWriter::begin(out, descriptor::SASL_OUTCOME);
        f.put(self.code.number()).opt(self.additional_data.as_ref());
        f.end();
    }
}

impl fmt::Debug for Init {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Init")
            .field("mechanism", &self.mechanism)
            .field(
                "initial_response_bytes",
                &self.initial_response.as_ref().map(Bytes::len),
            )
            .field("hostname", &self.hostname)
            .finish()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("response_bytes", &self.response.len())
            .finish()
    }
}
