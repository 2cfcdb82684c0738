//! The driver's parts: what runs, how it is measured, and the table.

pub mod http;
pub mod idle;
pub mod kafka;
pub mod process;
pub mod table;

use std::path::PathBuf;

use crate::Failure;
use crate::driver::table::Sample;

/// What the command line says for every scenario.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Events of one measured run.
    pub events: usize,
    /// How often each side runs.
    pub rounds: usize,
    /// The router's binary; without it the plain loops run alone.
    pub weft: Option<PathBuf>,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The loop by hand.
    Plain,
    /// The router.
    Weft,
}

/// Runs both sides in turns, so that what else the machine does meets both alike.
fn turns(
    plan: &Plan,
    mut run: impl FnMut(Side, usize) -> Result<Sample, Failure>,
) -> Result<(Vec<Sample>, Vec<Sample>), Failure> {
    let (mut plain, mut weft) = (Vec::new(), Vec::new());
    for round in 0..plan.rounds {
        plain.push(run(Side::Plain, round)?);
        if plan.weft.is_some() {
            weft.push(run(Side::Weft, round)?);
        }
    }
    Ok((plain, weft))
}

/// The threads that each side is given: one a core, as the router takes by itself.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The binary as the rig takes it.
fn binary(plan: &Plan) -> Result<&str, Failure> {
    let path = plan
        .weft
        .as_deref()
        .ok_or("this scenario needs the router's binary: --weft PATH")?;
    path.to_str()
        .ok_or_else(|| format!("{} is not UTF-8", path.display()).into())
}
