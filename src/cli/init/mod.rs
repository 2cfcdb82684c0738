//! `weft init`: prints a commented file to start from. Each one passes `weft check`; a test holds that.

use std::io::Write;

use super::CliError;

const GATEWAY: &str = include_str!("gateway.yaml");
const SIDECAR: &str = include_str!("sidecar.yaml");

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// What the router is to be.
    role: Role,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Role {
    /// The gateway of a cluster: HTTP and Kafka in, services and topics out.
    Gateway,
    /// Beside one application, over loopback.
    Sidecar,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let file = match args.role {
        Role::Gateway => GATEWAY,
        Role::Sidecar => SIDECAR,
    };
    Ok(out.write_all(file.as_bytes())?)
}
