//! `weft dlq job`, and the end of every command that starts one.

use std::io::Write;
use std::time::Duration;

use super::ask::{Router, json};
use crate::admin::dlq::letters::JobStatus;
use crate::cli::CliError;
use crate::cli::text::plain;

/// How often a job that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The command's arguments.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    #[command(flatten)]
    router: Router,
    /// End it: nothing more is sent, and what has not ended stays.
    #[arg(long)]
    cancel: bool,
    /// Wait until it has ended.
    #[arg(long)]
    wait: bool,
    /// Print what the router says, as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<(), CliError> {
    let status: JobStatus = match args.cancel {
        true => args.router.post("/job/cancel", &serde_json::json!({}))?,
        false => args.router.get("/job")?,
    };
    match follow(&args.router, status, !(args.wait || args.cancel), args.json, out) {
        // It is what was asked for.
        Err(CliError::Failed(_)) if args.cancel => Ok(()),
        other => other,
    }
}

/// Waits for the end of a job, and tells it. The job goes on, whether anybody waits or not.
pub(in crate::cli) fn follow(
    router: &Router,
    begun: JobStatus,
    at_once: bool,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), CliError> {
    let (number, mut status) = (begun.job, begun);
    while status.state == "running" && !at_once {
        std::thread::sleep(LOOK_EVERY);
        status = router.get("/job")?;
        if status.job != number {
            return Err(CliError::Failed(format!(
                "job {number} is over, and another one runs: `weft dlq job` tells about that one"
            )));
        }
    }
    match as_json {
        true => writeln!(out, "{}", json(&status)?)?,
        false => write(&status, out)?,
    }
    match status.state.as_str() {
        "failed" => Err(CliError::Failed(format!(
            "job {number} failed: {}",
            plain(status.error.as_deref().unwrap_or(""))
        ))),
        "cancelled" => Err(CliError::Failed(format!(
            "job {number} was cancelled: {} of {} that were meant have ended",
            status.ended + status.purged,
            status.selected
        ))),
        "done" if status.stayed > 0 => Err(CliError::Failed(format!(
            "{} could not be sent, and stay",
            status.stayed
        ))),
        _ => Ok(()),
    }
}

fn write(status: &JobStatus, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(
        out,
        "job {}  {} of {}  {}",
        status.job,
        plain(&status.what),
        place(status),
        plain(&status.state)
    )?;
    let counts = [
        ("looked at", status.looked),
        ("meant", status.selected),
        ("sent", status.sent),
        ("under way", status.under_way),
        ("delivered", status.delivered),
        ("dead again", status.dead_lettered),
        ("in a log", status.stored),
        ("expired or dropped", status.gone),
        ("purged", status.purged),
        ("stayed", status.stayed),
        ("unreadable", status.unreadable),
    ];
    let shown = counts
        .iter()
        .filter(|(name, count)| *count > 0 || *name == "meant");
    let shown: Vec<String> = shown.map(|(name, count)| format!("{name} {count}")).collect();
    writeln!(out, "  {}", shown.join(", "))?;
    for stays in &status.stays {
        let name = stays.place.clone().unwrap_or_else(|| stays.id.to_string());
        writeln!(out, "  {} stays: {}", plain(&name), plain(&stays.why))?;
    }
    if let Some(left) = status.left.as_ref().filter(|_| status.ended + status.purged > 0) {
        writeln!(out, "  {}", plain(left))?;
    }
    Ok(())
}

fn place(status: &JobStatus) -> String {
    match &status.address {
        Some(address) => format!("{} ({})", plain(&status.log), plain(address)),
        None => plain(&status.log),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::admin::dlq::letters::Stays;

    #[test]
    fn the_end_of_a_job_says_what_became_of_every_letter() {
        let status = JobStatus {
            job: 3,
            what: "replay".to_owned(),
            log: "local".to_owned(),
            state: "done".to_owned(),
            looked: 9,
            selected: 4,
            sent: 3,
            delivered: 2,
            dead_lettered: 1,
            stayed: 1,
            stays: vec![Stays {
                id: 7,
                place: None,
                why: "no route".to_owned(),
            }],
            ..JobStatus::default()
        };
        let mut text = Vec::new();
        write(&status, &mut text).unwrap();
        let expected = "\
job 3  replay of local  done
  looked at 9, meant 4, sent 3, delivered 2, dead again 1, stayed 1
  7 stays: no route
";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
