//! A question to the admin port, and what its answer means to a script.

use bytes::Bytes;
use hyper::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::client::{self, Reply};
use crate::cli::text::plain;
use crate::cli::{CliError, block_on};

/// Which router is asked.
#[derive(clap::Args, Debug)]
pub(in crate::cli) struct Router {
    /// The router's `admin.listen`.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9465")]
    admin: String,
}

impl Router {
    /// `GET`
    pub(in crate::cli) fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, CliError> {
        let url = format!("http://{}{target}", self.admin);
        self.read(&url, block_on(client::get(&url)))
    }

    /// `POST` of JSON.
    pub(in crate::cli) fn post<T: DeserializeOwned>(
        &self,
        target: &str,
        order: &impl Serialize,
    ) -> Result<T, CliError> {
        let url = format!("http://{}{target}", self.admin);
        let body = serde_json::to_vec(order)
            .map_err(|error| CliError::Internal(format!("encoding the order: {error}")))?;
        let reply = block_on(client::post(&url, "application/json", Bytes::from(body)));
        self.read(&url, reply)
    }

    fn read<T: DeserializeOwned>(&self, url: &str, reply: Result<Reply, CliError>) -> Result<T, CliError> {
        let reply = reply.map_err(|error| match error {
            CliError::Unavailable(why) => CliError::Unavailable(format!(
                "{why}\n  is weft running, and is {} its admin.listen? name it with --admin HOST:PORT",
                self.admin
            )),
            other => other,
        })?;
        let said = || plain(String::from_utf8_lossy(&reply.body).trim_end());
        match reply.status {
            status if status.is_success() => serde_json::from_slice(&reply.body)
                .map_err(|error| CliError::Failed(format!("{url}: this is no answer of Weft: {error}"))),
            StatusCode::BAD_REQUEST => Err(CliError::Config(said())),
            StatusCode::NOT_FOUND => Err(CliError::Failed(said())),
            StatusCode::CONFLICT | StatusCode::SERVICE_UNAVAILABLE => Err(CliError::Unavailable(said())),
            status => Err(CliError::Failed(format!("{url}: {status}: {}", said()))),
        }
    }
}

/// As JSON that reads well.
pub(in crate::cli) fn json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value)
        .map_err(|error| CliError::Internal(format!("encoding the answer: {error}")))
}
