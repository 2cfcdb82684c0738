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
        "done" => judge(&status),
        _ => Ok(()),
    }
}

/// Whether all of it is as whoever asked for it wants it: scripts look at the exit code.
fn judge(status: &JobStatus) -> Result<(), CliError> {
    let mut wrong = Vec::new();
    if status.selected == 0 {
        return Err(nothing_meant());
    }
    if !status.missing.is_empty() {
        wrong.push(format!("not there: {}", plain(&status.missing.join(", "))));
    }
    if status.dead_lettered > 0 {
        let elsewhere = match status.address {
            Some(_) => format!(" --in {}", plain(&status.log)),
            None => String::new(),
        };
        wrong.push(format!(
            "{} died again, and are letters anew: `weft dlq list{elsewhere}` says why",
            status.dead_lettered
        ));
    }
    if status.stayed > 0 {
        wrong.push(format!("{} could not be sent, and stay", status.stayed));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(CliError::Failed(wrong.join("; "))),
    }
}

/// A filter that nothing meets is more often mistyped than meant.
pub(in crate::cli) fn nothing_meant() -> CliError {
    CliError::Failed("no letter is meant: `weft dlq list` shows which there are".to_owned())
}

fn write(status: &JobStatus, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(
        out,
        "job {}  {}  {}",
        status.job,
        what(status),
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

fn what(status: &JobStatus) -> String {
    let log = plain(&status.log);
    match (&status.address, status.what.as_str()) {
        (Some(address), what) => format!("{} of {log} ({})", plain(what), plain(address)),
        (None, "replay_kept") => format!("replay of what {log} kept"),
        (None, what) => format!("{} of {log}", plain(what)),
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

    /// A script that goes on after it relies on that.
    #[test]
    fn a_job_ends_well_only_if_all_that_was_meant_was_done() {
        let done = JobStatus {
            log: "dlt".to_owned(),
            selected: 3,
            delivered: 3,
            ..JobStatus::default()
        };
        assert!(judge(&done).is_ok());
        let not = |change: fn(&mut JobStatus)| {
            let mut status = done.clone();
            change(&mut status);
            let error = judge(&status).unwrap_err();
            assert_eq!(error.code(), 1);
            error.to_string()
        };
        assert!(not(|status| status.selected = 0).contains("no letter is meant"));
        assert!(not(|status| status.stayed = 1).contains("1 could not be sent"));
        assert_eq!(
            not(|status| {
                status.dead_lettered = 2;
                status.address = Some("topic x".to_owned());
                status.missing = vec!["3/1".to_owned(), "4/2".to_owned()];
            }),
            "not there: 3/1, 4/2; 2 died again, and are letters anew: `weft dlq list --in dlt` says why"
        );
    }

    #[test]
    fn a_job_says_where_its_letters_are() {
        let status = |what: &str, address: Option<&str>| JobStatus {
            what: what.to_owned(),
            log: "dlt".to_owned(),
            address: address.map(str::to_owned),
            ..JobStatus::default()
        };
        assert_eq!(what(&status("replay", None)), "replay of dlt");
        assert_eq!(what(&status("replay_kept", None)), "replay of what dlt kept");
        assert_eq!(what(&status("purge", Some("topic x"))), "purge of dlt (topic x)");
    }
}
