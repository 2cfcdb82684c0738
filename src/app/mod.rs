//! The running router: the fixed order in which it is built, the reasons to reload, the order in which it stops.
//!
//! Build: signals, file, metrics, admin listeners, topology. Stop: ingresses take nothing in, everything drains, ingresses
//! close, destinations close, admin last, so that health and metrics answer all through a drain (C22, C29).

pub mod compare;
mod files;
mod letters;
mod shared;
mod source;
mod spec;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use weft_api::config::Finding;
use weft_api::crash;
use weft_api::stop::{Phase, StopHandle};

use crate::admin::{self, Admin, Source as _, Surface};
use crate::config::{self, Environment, Model, Registry, Removed};
use crate::metrics::{Metrics, ReloadResult};
use crate::shutdown::{Asked, Drained, Signals, drain};
pub use crate::topology::rehearse::{Behaviour, Ending, Fate, Played, PlayedLeg, Rehearsal};
use crate::topology::reload::Removal;
use crate::topology::{StartError, Topology};
use crate::watch::Watch;
use source::AppSource;

/// Plays events through a configuration, with nothing living (`weft test`).
#[must_use]
pub fn rehearsal(model: &Model) -> Rehearsal {
    Rehearsal::new(spec::of(model))
}

/// What `weft run` was asked for.
pub struct Options {
    /// Files and directories.
    pub paths: Vec<PathBuf>,
    /// How long a drain may take.
    pub drain: Duration,
    /// Reload when the files change.
    pub watch: bool,
}

/// Why the router did not run, or did not end well.
#[derive(Debug)]
pub enum AppError {
    /// The file is wrong; all findings.
    Config(Vec<Finding>),
    /// What the file names cannot be used here; the same again fails again.
    Wrong(String),
    /// An address of ours is taken, or not ours; or another process has the store.
    Taken(String),
    /// A fault of ours, or of the machine.
    Internal(String),
}

/// Runs until it is told to stop. `warn` hears the warnings of the first load.
///
/// # Errors
/// See [`AppError`].
pub fn run(
    options: &Options,
    registry: Registry<'static>,
    environment: &dyn Environment,
    warn: impl FnOnce(&[Finding]),
) -> Result<(), AppError> {
    files::raise();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("weft")
        .build()
        .map_err(|error| AppError::Internal(format!("starting the runtime: {error}")))?;
    let result = runtime.block_on(live(options, registry, environment, warn));
    // Blocking look-ups (name resolution, a probe) may still hang: nothing waits for them.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

async fn live(
    options: &Options,
    registry: Registry<'static>,
    environment: &dyn Environment,
    warn: impl FnOnce(&[Finding]),
) -> Result<(), AppError> {
    let mut signals =
        Signals::listen().map_err(|error| AppError::Internal(format!("listening for signals: {error}")))?;
    let mut watch = Watch::new(&options.paths);
    let model = config::load(&options.paths, registry, environment).map_err(AppError::Config)?;
    warn(&model.warnings);
    let metrics = Metrics::new();
    let (stop_admin, admin_stopped) = StopHandle::new();
    let mut topology =
        Topology::start(spec::of(&model), Arc::clone(&metrics), fastrand::u64(..)).map_err(|error| {
            match error {
                StartError::Wrong(why) => AppError::Wrong(why),
                StartError::Taken(why) => AppError::Taken(why),
                StartError::Failed(why) => AppError::Internal(why),
            }
        })?;
    topology.look_after_orphans(&removals(&model));
    let source = AppSource::new(topology.board(), Arc::clone(topology.budget()), metrics, model);
    serve_admin(&source, &admin_stopped).await?;
    let mut router = Router {
        topology,
        source,
        registry,
    };
    loop {
        let asked = tokio::select! {
            biased;
            asked = signals.next() => asked,
            () = watch.changed(), if options.watch => Asked::Reload,
        };
        match asked {
            Asked::Stop => break,
            Asked::Reload => router.reload(options, environment).await,
        }
    }
    router.stop(options, &mut signals).await;
    stop_admin.advance(Phase::Stopped);
    Ok(())
}

/// Binds what the file says, and serves it.
async fn serve_admin(source: &Arc<AppSource>, stop: &weft_api::stop::Stop) -> Result<(), AppError> {
    let model = source.model();
    let surfaces = [
        ("observe.listen", model.observe.listen.address(), Surface::Observe),
        ("admin.listen", model.admin.listen.address(), Surface::Admin),
    ];
    let admin = Admin::new(Arc::clone(source) as Arc<dyn admin::Source>);
    for (key, address, surface) in surfaces {
        if let Some(address) = address {
            let listener = bind(key, address).await?;
            tokio::spawn(admin::serve(listener, surface, Arc::clone(&admin), stop.clone()));
        }
    }
    Ok(())
}

async fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|error| {
        AppError::Taken(format!(
            "{key}: cannot listen on {address}: {error}; free it, or set another address (or off)"
        ))
    })
}

struct Router {
    topology: Topology,
    source: Arc<AppSource>,
    registry: Registry<'static>,
}

impl Router {
    /// Loads the files again; whatever is wrong changes nothing (C30).
    async fn reload(&mut self, options: &Options, environment: &dyn Environment) {
        let before = self.source.config();
        let result = self.try_reload(options, environment).await;
        // What the printed file masks, a secret, shows in the entry that has it.
        let same = |report: &crate::topology::reload::Report| {
            listed(&report.ingresses) == UNCHANGED
                && listed(&report.destinations) == UNCHANGED
                && self.source.config() == before
        };
        let counted = match &result {
            Ok(report) if same(report) => ReloadResult::Unchanged,
            Ok(_) => ReloadResult::Applied,
            Err(_) => ReloadResult::Refused,
        };
        self.source.metrics().process().reloaded(counted);
        match result {
            Ok(_) if counted == ReloadResult::Unchanged => {
                tracing::info!("the files were read again: nothing changed");
            }
            Ok(report) => {
                tracing::info!(
                    ingress = %listed(&report.ingresses),
                    destinations = %listed(&report.destinations),
                    "reloaded"
                );
                for (log, events) in report.ending {
                    tracing::info!(
                        log,
                        events,
                        "the file does not ask for this log any more: what it holds is delivered first"
                    );
                }
            }
            Err(why) => tracing::error!("reload refused, nothing changed: {why}"),
        }
    }

    async fn try_reload(
        &mut self,
        options: &Options,
        environment: &dyn Environment,
    ) -> Result<crate::topology::reload::Report, String> {
        let model =
            config::load(&options.paths, self.registry, environment).map_err(|findings| lines(&findings))?;
        crash::point("reload.read");
        for finding in &model.warnings {
            tracing::warn!("{finding}");
        }
        self.source.check_same_listeners(&model)?;
        let report = self.topology.reload(spec::of(&model), &removals(&model)).await?;
        self.source.set_model(model);
        crash::point("reload.done");
        Ok(report)
    }

    async fn stop(self, options: &Options, signals: &mut Signals) {
        tracing::info!(
            unsettled = self.topology.unsettled(),
            "stopping: nothing more is taken in"
        );
        self.source.begin_stop();
        crash::point("stop.begun");
        let ended = {
            let far = tokio::time::Instant::now() + options.drain + Duration::from_secs(3600);
            let finished = async {
                self.topology.drain(far, |_| {}).await;
            };
            drain(finished, signals.stop(), options.drain, || {
                self.source.waiting_for()
            })
            .await
        };
        crash::point("stop.drained");
        self.topology.stop().await;
        crash::point("stop.closed");
        match ended {
            Drained::Clean => tracing::info!("stopped: everything is settled"),
            Drained::Deadline | Drained::Hurried => {
                tracing::warn!("stopped: what was left is released to its senders")
            }
        }
    }
}

fn removals(model: &Model) -> BTreeMap<String, Removal> {
    let words = model.removed.iter();
    words
        .map(|(name, how)| (name.to_string(), removal(*how)))
        .collect()
}

fn removal(how: Removed) -> Removal {
    match how {
        Removed::Drain => Removal::Drain,
        Removed::DeadLetter => Removal::DeadLetter,
        Removed::Purge => Removal::Purge,
    }
}

fn lines(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// How the log says that no entry of a section is new, other or gone.
const UNCHANGED: &str = "unchanged";

fn listed(changes: &crate::topology::reload::Changes) -> String {
    let parts = [
        ("+", &changes.added),
        ("~", &changes.changed),
        ("-", &changes.removed),
    ];
    let names = parts
        .iter()
        .flat_map(|(sign, names)| names.iter().map(move |name| format!("{sign}{name}")));
    let text = names.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        UNCHANGED.to_owned()
    } else {
        text
    }
}

/// The model behind a lock that is held only to copy a pointer.
struct Shared<T>(Mutex<Arc<T>>);

impl<T> Shared<T> {
    fn new(value: T) -> Shared<T> {
        Shared(Mutex::new(Arc::new(value)))
    }

    fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(value);
    }
}

type CurrentModel = Shared<Model>;
