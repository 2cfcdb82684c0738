//! The binary under test, as a process with a file. It owns the process and a directory that lasts over restarts. It
//! knows of the router: the command line, the signals, and the paths `/readyz` and `/metrics`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::child::Process;
use crate::dir::Dir;
use crate::http::{self, Response};
use crate::lines::Lines;
use crate::{BadDisk, Clock, MemoryLimit, Metrics, free_port};

/// A start takes milliseconds; the limit is for a busy machine, and for a store that is recovered.
const READY_LIMIT: Duration = Duration::from_secs(60);
/// The longest drain of the router, and some time to spare.
const EXIT_LIMIT: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(20);

/// What to run, and with what.
#[derive(Debug)]
pub struct WeftBuilder {
    binary: PathBuf,
    observe: u16,
    config: String,
    env: Vec<(String, String)>,
    args: Vec<String>,
    /// What comes before the binary on its command line.
    under: Vec<String>,
    dir: Dir,
}

/// One `weft run`. Dropping it kills it.
#[derive(Debug)]
pub struct Weft {
    plan: WeftBuilder,
    process: Process,
}

impl WeftBuilder {
    /// The port where `/readyz` and `/metrics` answer, a free one unless [`WeftBuilder::observe`] says otherwise.
    #[must_use]
    pub fn observe_port(&self) -> u16 {
        self.observe
    }

    /// The port that the file gives to `observe.listen`.
    #[must_use]
    pub fn observe(mut self, port: u16) -> Self {
        self.observe = port;
        self
    }

    /// The file. Every `${OBSERVE}` in it is the observe address, every `${DIR}` the directory that lasts as long as
    /// this value, also over a restart; both come to the binary as environment variables.
    #[must_use]
    pub fn config(mut self, yaml: &str) -> Self {
        yaml.clone_into(&mut self.config);
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more argument after `run FILE`.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// Lives by this clock, also after a restart.
    #[must_use]
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.env.extend(clock.variables());
        self
    }

    /// Has this disk below `store` in its directory, also after a restart.
    #[must_use]
    pub fn disk(mut self, disk: &BadDisk) -> Self {
        let under = self.dir.path().join("store");
        self.env.extend(disk.variables(&under));
        self
    }

    /// May have so many files and sockets open.
    #[must_use]
    pub fn files(self, most: u32) -> Self {
        self.under(&["prlimit", &format!("--nofile={most}:{most}"), "--"])
    }

    /// The same, and may raise that itself up to `hard`.
    #[must_use]
    pub fn files_at_first(self, most: u32, hard: u32) -> Self {
        self.under(&["prlimit", &format!("--nofile={most}:{hard}"), "--"])
    }

    /// Is killed by the kernel where it needs more memory.
    #[must_use]
    pub fn memory(self, limit: &MemoryLimit) -> Self {
        let join = format!("echo $$ > {} && exec \"$@\"", limit.door().display());
        self.under(&["sh", "-c", &join, "sh"])
    }

    /// Starts it by a command that ends by becoming what its last arguments say.
    fn under(mut self, command: &[&str]) -> Self {
        self.under.extend(command.iter().map(|&word| word.to_owned()));
        self
    }

    /// Starts it, and waits until it says that it is ready.
    #[track_caller]
    #[must_use]
    pub fn start(self) -> Weft {
        let mut weft = self.spawn();
        weft.wait_ready();
        weft
    }

    /// Starts it without waiting: for a file that must be refused, or for a start that must take its time.
    #[must_use]
    pub fn spawn(self) -> Weft {
        self.dir.write("weft.yaml", &self.config);
        let process = self.launch();
        Weft { plan: self, process }
    }

    fn launch(&self) -> Process {
        let binary = self.binary.as_os_str();
        let mut words = self.under.iter().map(OsStr::new).chain([binary]);
        let mut command = Command::new(words.next().unwrap_or(binary));
        command
            .args(words)
            .arg("run")
            .arg(self.dir.path().join("weft.yaml"))
            .args(&self.args)
            .current_dir(self.dir.path())
            .env("OBSERVE", format!("127.0.0.1:{}", self.observe))
            .env("DIR", self.dir.path())
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        Process::start("weft", &command)
    }
}

impl Weft {
    /// Begins with the path of the binary: `Weft::at(env!("CARGO_BIN_EXE_weft"))`.
    #[must_use]
    pub fn at(binary: &str) -> WeftBuilder {
        WeftBuilder {
            binary: binary.into(),
            observe: free_port(),
            config: String::new(),
            env: Vec::new(),
            args: Vec::new(),
            under: Vec::new(),
            dir: Dir::new("weft"),
        }
    }

    /// Waits until `/readyz` answers 200. Panics with the log where the process ends before.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let end = Instant::now() + READY_LIMIT;
        while !self.is_ready() {
            if let Some(status) = self.process.ended() {
                panic!(
                    "weft ended ({status}) before it was ready:\n{}",
                    self.log().tail()
                );
            }
            assert!(
                Instant::now() < end,
                "weft is not ready within {READY_LIMIT:?}:\n{}",
                self.log().tail()
            );
            std::thread::park_timeout(PACE);
        }
    }

    /// Whether `/readyz` answers 200 now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        http::get(self.plan.observe, "/readyz").is_ok_and(|answer| answer.status == 200)
    }

    /// GET on the observe address. Panics where nobody answers.
    #[track_caller]
    #[must_use]
    pub fn get(&self, path: &str) -> Response {
        match http::get(self.plan.observe, path) {
            Ok(response) => response,
            Err(e) => panic!("asking weft for {path}: {e}; its log:\n{}", self.log().tail()),
        }
    }

    /// A scrape of `/metrics`.
    #[track_caller]
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "scraping /metrics");
        Metrics::parse(&answer.text())
    }

    /// What it has logged: its standard error, over the last start.
    #[must_use]
    pub fn log(&self) -> &Lines {
        &self.process.err
    }

    /// Its standard output, over the last start.
    #[must_use]
    pub fn out(&self) -> &Lines {
        &self.process.out
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The most memory that it has held at a time so far (`VmHWM`), in MiB.
    #[track_caller]
    #[must_use]
    pub fn peak_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("reading {path}: {e}"));
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kib.unwrap_or_else(|| panic!("no VmHWM in {path}:\n{status}")) / 1024
    }

    /// How many files and sockets it has open now.
    #[track_caller]
    #[must_use]
    pub fn open_files(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid());
        let entries = std::fs::read_dir(&path).unwrap_or_else(|e| panic!("reading {path}: {e}"));
        entries.count()
    }

    /// How many files and sockets it may have open now.
    ///
    /// # Panics
    /// If it has ended.
    #[must_use]
    pub fn open_files_max(&self) -> u64 {
        let path = format!("/proc/{}/limits", self.pid());
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("reading {path}: {e}"));
        let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
        let soft = line.and_then(|line| line.split_whitespace().next());
        soft.and_then(|soft| soft.parse().ok())
            .unwrap_or_else(|| panic!("no limit of open files in {path}"))
    }

    /// Its directory: the working directory, with `weft.yaml` in it. It lasts over restarts.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.plan.dir.path()
    }

    /// The observe port.
    #[must_use]
    pub fn observe_port(&self) -> u16 {
        self.plan.observe
    }

    /// Writes another file; [`Weft::sighup`] makes the process read it, [`Weft::restart`] too.
    pub fn rewrite(&mut self, yaml: &str) {
        yaml.clone_into(&mut self.plan.config);
        self.plan.dir.write("weft.yaml", yaml);
    }

    /// Another value for an environment variable, or none: for the next start.
    pub fn set_env(&mut self, name: &str, value: Option<&str>) {
        self.plan.env.retain(|(known, _)| known != name);
        if let Some(value) = value {
            self.plan.env.push((name.to_owned(), value.to_owned()));
        }
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub fn freeze(&mut self) {
        self.process.signal("STOP");
    }

    /// SIGCONT after [`Weft::freeze`].
    pub fn thaw(&mut self) {
        self.process.signal("CONT");
    }

    /// SIGTERM; the drain begins, see [`Weft::wait`].
    pub fn sigterm(&mut self) {
        self.process.signal("TERM");
    }

    /// SIGINT, as from a keyboard; the drain begins, or with the second one ends.
    pub fn sigint(&mut self) {
        self.process.signal("INT");
    }

    /// SIGHUP; the file is read again.
    pub fn sighup(&mut self) {
        self.process.signal("HUP");
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        self.process.wait(EXIT_LIMIT)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Starts it again after its end, with the same file, directory and port, and waits until it is ready.
    #[track_caller]
    pub fn restart(&mut self) {
        self.launch_again();
        self.wait_ready();
    }

    /// The same without waiting, for a start that may end again at once.
    #[track_caller]
    pub fn launch_again(&mut self) {
        assert!(self.ended().is_some(), "weft runs still");
        self.process = self.plan.launch();
    }
}
