//! The router at rest: the example file, nobody connected, no broker at hand.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use weft_rig::Weft;

use super::{Plan, binary, process};
use crate::Failure;

/// What is measured is a process that has had time to settle.
const REST: Duration = Duration::from_secs(10);

/// Runs the scenario and returns its table.
///
/// # Errors
/// The example does not start.
pub fn run(plan: &Plan) -> Result<String, Failure> {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../routes.example.yaml");
    let yaml = fs::read_to_string(&example).map_err(|e| format!("reading {}: {e}", example.display()))?;
    let weft = Weft::at(binary(plan)?)
        .config(&yaml)
        .observe(observe_port(&yaml)?)
        .start();
    let before = process::cpu(weft.pid())?;
    thread::sleep(REST);
    let memory = process::memory(weft.pid())?;
    let cpu = process::cpu(weft.pid())? - before;
    Ok(format!(
        "### Idle: routes.example.yaml after {} s\n\n| | resident MiB | peak MiB | CPU ms/s |\n|---|---|---|---|\n\
         | weft | {:.1} | {:.1} | {:.1} |\n",
        REST.as_secs(),
        memory.now,
        memory.peak,
        cpu.as_secs_f64() * 1e3 / REST.as_secs_f64(),
    ))
}

/// The port at `observe.listen`, which the example gives as a number.
fn observe_port(yaml: &str) -> Result<u16, Failure> {
    let observe = yaml.lines().skip_while(|line| !line.starts_with("observe:"));
    let port = observe.take(8).find_map(|line| {
        let (_, after) = line.split_once("listen:")?;
        let (_, port) = after.rsplit_once(':')?;
        let digits: String = port.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().ok()
    });
    port.ok_or_else(|| "the example has no `observe: listen:` with a port".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_observe_port_is_found_in_either_style() {
        assert!(observe_port("observe: { listen: \"0.0.0.0:9464\" } # x\n").is_ok_and(|port| port == 9464));
        assert!(observe_port("a: 1\nobserve:\n  listen: 127.0.0.1:80\n").is_ok_and(|port| port == 80));
        assert!(observe_port("admin: { listen: \"127.0.0.1:1\" }\n").is_err());
    }
}
