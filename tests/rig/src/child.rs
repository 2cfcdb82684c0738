//! Child processes that die with us.
//!
//! Invariant: a child is killed when its [`Process`] is dropped, and by the kernel when this process ends in any other
//! way. It must not know what the child is.

use std::io::{self, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use crate::lines::Lines;
use crate::wait::eventually;

/// A running child with both its streams captured.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    pub(crate) out: Lines,
    pub(crate) err: Lines,
}

impl Process {
    /// Starts `command`; `name` stands in messages.
    pub(crate) fn start(name: &str, command: &Command) -> Self {
        Self::start_with(name, command, Stdio::null())
    }

    /// The same for a child that is spoken to ([`Process::say`]).
    pub(crate) fn start_listening(name: &str, command: &Command) -> Self {
        Self::start_with(name, command, Stdio::piped())
    }

    fn start_with(name: &str, command: &Command, input: Stdio) -> Self {
        let mut command = guarded(command);
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(command).unwrap_or_else(|e| panic!("starting {name}: {e}"));
        let out = Lines::read(child.stdout.take().expect("piped above"));
        let err = Lines::read(child.stderr.take().expect("piped above"));
        Self {
            name: name.to_owned(),
            input: child.stdin.take(),
            child,
            out,
            err,
        }
    }

    /// Writes a line to its standard input. One that has ended hears nothing; its answer will be missed.
    pub(crate) fn say(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = input
                .write_all(line.as_bytes())
                .and_then(|()| input.write_all(b"\n"));
            let _ = input.flush();
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .unwrap_or_else(|e| panic!("looking after {}: {e}", self.name))
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let what = format!("the end of {}", self.name);
        eventually(&what, limit, || self.ended())
    }

    /// Sends a signal by its short name. A process that has ended already takes none.
    pub(crate) fn signal(&mut self, signal: &str) {
        if self.ended().is_some() {
            return;
        }
        // The shell's own `kill`, so that no package is needed. We have not reaped the child: the id is still its own.
        let pid = self.pid();
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{signal} {pid}"))
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "sending SIG{signal} to {} ({pid})",
            self.name
        );
    }

    /// SIGKILL, and waits until the kernel has taken it away.
    pub(crate) fn kill9(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

/// The same command under `setpriv`, which asks the kernel to kill it when the thread that started it is gone. Where
/// there is no such tool (not a Linux), as it is.
fn guarded(command: &Command) -> Command {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    let present = PRESENT.get_or_init(|| {
        let probe = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "true"])
            .output();
        probe.is_ok_and(|out| out.status.success())
    });
    let mut outer = if *present {
        let mut outer = Command::new("setpriv");
        outer
            .args(["--pdeathsig", "KILL", "--"])
            .arg(command.get_program());
        outer
    } else {
        Command::new(command.get_program())
    };
    outer.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(dir) = command.get_current_dir() {
        outer.current_dir(dir);
    }
    outer
}

type Order = (Command, mpsc::SyncSender<io::Result<Child>>);

/// Starts it from the one thread that lives as long as the process: the kernel's promise is about the thread, and the
/// one of a test ends before a broker that others share.
fn spawn(command: Command) -> io::Result<Child> {
    static NURSERY: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let nursery = NURSERY.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::sync_channel(1);
    nursery
        .send((command, answer))
        .expect("the nursery lives as long as the process");
    child.recv().expect("the nursery answers every order")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.arg("-c").arg(script);
        Process::start("sh", &command)
    }

    #[test]
    fn lines_come_from_both_streams_and_outlive_the_child() {
        let mut process = sh("echo one; echo two >&2; exit 3");
        assert_eq!(process.wait(Duration::from_secs(20)).code(), Some(3));
        assert_eq!(process.out.to_end(), ["one"]);
        assert_eq!(process.err.to_end(), ["two"]);
        assert_eq!(
            process.out.wait_for("one", Duration::ZERO, |line| line == "one"),
            "one"
        );
        assert!(
            process
                .out
                .find(process.out.mark(), Duration::ZERO, |line| line == "one")
                .is_err()
        );
    }

    #[test]
    fn a_dropped_child_is_dead() {
        let process = sh("echo ready; exec sleep 600");
        process
            .out
            .wait_for("ready", Duration::from_secs(20), |line| line == "ready");
        let proc = format!("/proc/{}", process.pid());
        assert!(std::path::Path::new(&proc).exists());
        drop(process);
        assert!(!std::path::Path::new(&proc).exists());
    }

    #[test]
    fn a_child_of_a_thread_that_ended_lives_on() {
        let dir = crate::Dir::new("thread");
        let go = dir.path().join("go");
        let script = format!("until [ -e {} ]; do :; done; exit 7", go.display());
        let mut process = thread::spawn(move || sh(&script))
            .join()
            .expect("it does not panic");
        dir.write("go", "");
        // By itself, not by the signal for a parent that is gone.
        assert_eq!(process.wait(Duration::from_secs(20)).code(), Some(7));
    }
}
