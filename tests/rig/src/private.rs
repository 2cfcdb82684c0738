//! The process of a broker that one test owns and hurts: it is killed, stopped, frozen and started again on the same
//! ports and data. It must not know which broker it is; a [`Recipe`] tells how to start one.

use std::ops::Deref;
use std::process::Command;
use std::time::Duration;

use crate::child::Process;
use crate::dir::Dir;
use crate::lines::Lines;

const STOP_LIMIT: Duration = Duration::from_secs(60);

/// How to start a broker, any number of times.
#[derive(Debug)]
pub(crate) struct Recipe {
    /// For messages.
    pub(crate) name: &'static str,
    pub(crate) command: Command,
    /// Where it writes its log: standard output or standard error.
    pub(crate) log: fn(&Process) -> &Lines,
    /// What a line of its log holds when it serves.
    pub(crate) ready: &'static str,
    pub(crate) start_limit: Duration,
    /// Its configuration and its data.
    pub(crate) dir: Dir,
}

/// A broker of one's own. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Private<B> {
    broker: B,
    process: Option<Process>,
    recipe: Recipe,
}

impl<B> Private<B> {
    /// Nobody listens yet.
    pub(crate) fn reserved(broker: B, recipe: Recipe) -> Self {
        Self {
            broker,
            process: None,
            recipe,
        }
    }

    /// Starts it, for the first time or again on the same ports and data, and waits until it serves.
    #[track_caller]
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "{} runs already", self.recipe.name);
        let process = Process::start(self.recipe.name, &self.recipe.command);
        let ready = self.recipe.ready;
        let log = (self.recipe.log)(&process);
        let found = log.find(0, self.recipe.start_limit, |line| line.contains(ready));
        if let Err(why) = found {
            let (out, err) = (process.out.tail(), process.err.tail());
            panic!("starting {}: no {ready:?}: {why}\n{out}\n{err}", self.recipe.name);
        }
        self.process = Some(process);
    }

    /// The process, while there is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// What it has logged since its last start.
    #[track_caller]
    #[must_use]
    pub fn log(&self) -> &Lines {
        (self.recipe.log)(self.process.as_ref().expect("the broker runs"))
    }

    /// SIGKILL; what it had not written is lost, the rest is there after [`Private::start`].
    #[track_caller]
    pub fn kill9(&mut self) {
        self.process.take().expect("the broker runs").kill9();
    }

    /// SIGTERM, and waits until it has shut down in good order.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("the broker runs");
        process.signal("TERM");
        process.wait(STOP_LIMIT);
    }

    /// SIGSTOP: connections stay open and nothing answers, as with a machine that hangs.
    #[track_caller]
    pub fn freeze(&mut self) {
        self.signal("STOP");
    }

    /// SIGCONT after [`Private::freeze`].
    #[track_caller]
    pub fn thaw(&mut self) {
        self.signal("CONT");
    }

    /// The directory of its configuration and its data.
    #[must_use]
    pub fn dir(&self) -> &Dir {
        &self.recipe.dir
    }

    #[track_caller]
    pub(crate) fn signal(&mut self, signal: &str) {
        let process = self.process.as_mut().expect("the broker runs");
        process.signal(signal);
    }
}

impl<B> Deref for Private<B> {
    type Target = B;

    fn deref(&self) -> &B {
        &self.broker
    }
}
