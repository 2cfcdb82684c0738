//! What the admin endpoints show, gathered from the board, the model and the metrics.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use weft_api::config::{Node, Value};
use weft_api::status::Health;

use super::letters::AppLetters;
use super::{CurrentModel, Shared, shared};
use crate::admin::dlq::letters::Letters;
use crate::admin::snapshot::{
    BreakerState, BreakerStatus, DestinationStatus, HealthStatus, HeldBack, IngressStatus, LastError,
    LogStatus, Memory, RouteStatus, Snapshot,
};
use crate::admin::{Probe, Readiness, Source};
use crate::config::{Destination, Model, print};
use crate::metrics::Metrics;
use crate::topology::budget::Budget;
use crate::topology::report::{Board, DestinationView, IngressView, LogView, Post};
use crate::topology::spec::LOCAL;
use crate::topology::{breaker, pace};

/// See the module.
pub(super) struct AppSource {
    board: Arc<Board>,
    budget: Arc<Budget>,
    metrics: Arc<Metrics>,
    model: CurrentModel,
    started: Instant,
    stopping: AtomicBool,
}

impl AppSource {
    /// Over a topology's board; gauges that are computed are refreshed at each scrape from now on.
    pub(super) fn new(
        board: Arc<Board>,
        budget: Arc<Budget>,
        metrics: Arc<Metrics>,
        model: Model,
    ) -> Arc<AppSource> {
        let source = Arc::new(AppSource {
            board,
            budget,
            metrics,
            model: Shared::new(model),
            started: Instant::now(),
            stopping: AtomicBool::new(false),
        });
        let (board, budget) = (Arc::clone(&source.board), Arc::clone(&source.budget));
        let used = source.metrics.process().used_bytes.clone();
        source.metrics.on_scrape(Box::new(move || {
            used.set(as_gauge(budget.used()));
            board.ingresses().iter().for_each(refresh_ingress);
            board.destinations().iter().for_each(refresh_destination);
            board.logs().iter().for_each(|log| log.publish());
            if let Some(store) = board.store() {
                store.publish();
            }
        }));
        source
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(super) fn model(&self) -> Arc<Model> {
        self.model.get()
    }

    pub(super) fn set_model(&self, model: Model) {
        self.model.set(model);
    }

    /// Not ready any more: whoever balances load shall look elsewhere.
    pub(super) fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// A reload does not move the listeners of the router's own endpoints, nor the budget.
    pub(super) fn check_same_listeners(&self, model: &Model) -> Result<(), String> {
        match super::compare::fixed(&self.model(), model).first() {
            Some(why) => Err((*why).to_owned()),
            None => Ok(()),
        }
    }

    /// For what a drain waits: one line for each destination with pending events.
    pub(super) fn waiting_for(&self) -> Vec<String> {
        let pending = |view: &DestinationView| {
            let standing = view.standing();
            let error = standing
                .last_error
                .map(|error| format!(" ({error})"))
                .unwrap_or_default();
            (standing.pending_events > 0).then(|| {
                format!(
                    "{}: {} events pending{error}",
                    view.post.name, standing.pending_events
                )
            })
        };
        self.board.destinations().iter().filter_map(pending).collect()
    }

    fn kind_of_ingress(model: &Model, name: &str) -> String {
        let own = model.ingress(name).map(|ingress| ingress.kind);
        let log = || shared::named(model, name).map(|shared| shared.kind);
        own.or_else(log).unwrap_or_default().to_owned()
    }

    fn ingress_status(&self, view: &IngressView, model: &Model) -> IngressStatus {
        IngressStatus {
            name: view.post.name.to_string(),
            kind: Self::kind_of_ingress(model, &view.post.name),
            address: view.post.address.clone(),
            health: HealthStatus::from(&view.post.health_now()),
            events_total: view.metrics.events.get(),
            lag: view.post.lag_now(),
            oldest_s: view.pulse.oldest().as_secs_f64(),
            unsettled: view.pulse.unsettled.load(Ordering::Relaxed),
            held_lanes: u64::try_from(view.metrics.books.held_lanes.get()).unwrap_or(0),
            last_error: last_error(&view.post),
        }
    }

    fn destination_status(view: &DestinationView, model: &Model) -> DestinationStatus {
        let standing = view.standing();
        let kind = match model.destination(&view.post.name) {
            Some(Destination::Endpoint(endpoint)) => endpoint.kind,
            _ => shared::named(model, &view.post.name).map_or("", |shared| shared.kind),
        };
        let state = match standing.breaker {
            breaker::BreakerState::Closed => BreakerState::Closed,
            breaker::BreakerState::Probing => BreakerState::HalfOpen,
            breaker::BreakerState::Open { .. } => BreakerState::Open,
        };
        let retry_in = view.destination.probe_in();
        let failed = standing.last_error.map(|line| LastError {
            line: line.to_string(),
            age_s: 0.0,
        });
        DestinationStatus {
            name: view.post.name.to_string(),
            kind: kind.to_owned(),
            address: view.post.address.clone(),
            health: HealthStatus::from(&view.post.health_now()),
            delivered_total: view.destination.metrics.delivered.get(),
            pending_events: standing.pending_events,
            pending_bytes: standing.pending_bytes,
            oldest_s: standing.oldest.unwrap_or_default().as_secs_f64(),
            in_flight: u64::from(standing.in_flight),
            breaker: BreakerStatus {
                state,
                retry_in_s: (state == BreakerState::Open).then_some(retry_in.as_secs_f64()),
            },
            held_back: standing.held_back.map(|why| match why {
                pace::HeldBack::Rate => HeldBack::Rate,
                pace::HeldBack::RetryBudget => HeldBack::RetryBudget,
            }),
            last_error: failed.or_else(|| last_error(&view.post)),
        }
    }
}

impl Source for AppSource {
    fn metrics(&self) -> String {
        self.metrics.render()
    }

    fn readiness(&self) -> Readiness {
        if self.stopping.load(Ordering::Relaxed) {
            return Readiness::NotReady(vec!["stopping".to_owned()]);
        }
        let missing = |view: &IngressView| match view.post.health_now() {
            _ if !view.post.listens => None,
            Health::Ready => None,
            Health::Starting => Some(format!("ingress {}: not listening yet", view.post.name)),
            Health::Waiting(on) => Some(format!("ingress {}: {on}", view.post.name)),
        };
        let missing: Vec<String> = self.board.ingresses().iter().filter_map(missing).collect();
        if missing.is_empty() {
            Readiness::Ready
        } else {
            Readiness::NotReady(missing)
        }
    }

    fn probe_destinations(&self) -> Pin<Box<dyn Future<Output = Vec<Probe>> + Send>> {
        let model = self.model();
        Box::pin(async move {
            let mut probes = tokio::task::JoinSet::new();
            let own = model
                .destinations
                .iter()
                .filter_map(|destination| match destination {
                    Destination::Endpoint(endpoint) => Some((&endpoint.name, &endpoint.builder)),
                    Destination::Group(_) => None,
                });
            let logs = model.shared_logs().map(|shared| (&shared.name, &shared.egress));
            for (name, builder) in own.chain(logs) {
                let (name, builder) = (name.to_string(), Arc::clone(builder));
                probes.spawn(async move {
                    let error = match builder.build() {
                        Ok(egress) => egress.probe().await.err().map(|error| error.detail.to_string()),
                        Err(why) => Some(why),
                    };
                    Probe {
                        destination: name,
                        error,
                    }
                });
            }
            probes.join_all().await
        })
    }

    fn snapshot(&self) -> Snapshot {
        let model = self.model();
        Snapshot {
            node: model.node.name.clone(),
            cluster: model.node.cluster.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_s: self.started.elapsed().as_secs_f64(),
            ready: self.readiness() == Readiness::Ready,
            memory: Memory {
                used_bytes: self.budget.used(),
                budget_bytes: self.budget.max(),
            },
            ingress: self
                .board
                .ingresses()
                .iter()
                .map(|view| self.ingress_status(view, &model))
                .collect(),
            destinations: self
                .board
                .destinations()
                .iter()
                .map(|view| Self::destination_status(view, &model))
                .collect(),
            logs: self.board.logs().iter().map(log_status).collect(),
        }
    }

    fn routes(&self) -> Vec<RouteStatus> {
        let status = |route: &crate::config::Route| RouteStatus {
            name: route.name.to_string(),
            from: route.from.iter().flatten().map(ToString::to_string).collect(),
            filters: route.effective.get("filters").map(flow).unwrap_or_default(),
            to: route.to.to_string(),
            enabled: true,
            matched_total: self.metrics.route(&route.name).matched.get(),
        };
        self.model().routes.iter().map(status).collect()
    }

    fn config(&self) -> String {
        print(&self.model())
    }

    fn letters(&self) -> Arc<dyn Letters> {
        Arc::new(AppLetters(self.board.desk()))
    }
}

fn log_status(log: &Arc<LogView>) -> LogStatus {
    log.publish();
    let count = |gauge: &prometheus::IntGauge| u64::try_from(gauge.get()).unwrap_or(0);
    LogStatus {
        name: log.name.to_string(),
        dead_letters: &*log.name == LOCAL,
        orphaned: log.is_orphan(),
        pending: count(&log.metrics.pending),
        bytes: count(&log.metrics.bytes),
        waiting: count(&log.metrics.waiting),
        oldest_s: log.metrics.oldest.get(),
        full: log.metrics.full.get() > 0,
        failed: log.log.failure().map(|why| why.to_string()),
        damaged_total: log.metrics.damaged.get(),
    }
}

fn refresh_ingress(view: &IngressView) {
    view.metrics
        .unsettled
        .set(as_gauge(view.pulse.unsettled.load(Ordering::Relaxed)));
    view.metrics.oldest.set(view.pulse.oldest().as_secs_f64());
}

fn refresh_destination(view: &DestinationView) {
    let standing = view.standing();
    let metrics = &view.destination.metrics;
    metrics.pending_events.set(as_gauge(standing.pending_events));
    metrics.pending_bytes.set(as_gauge(standing.pending_bytes));
    metrics
        .oldest
        .set(standing.oldest.unwrap_or(Duration::ZERO).as_secs_f64());
}

fn last_error(post: &Post) -> Option<LastError> {
    post.last_error().map(|(line, age)| LastError {
        line,
        age_s: age.as_secs_f64(),
    })
}

/// A node in YAML's flow style, which is JSON where it is quoted.
fn flow(node: &Node) -> String {
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => value.to_string(),
        Value::Text(_) if node.secret => "***".to_owned(),
        Value::Text(value) => format!("{value:?}"),
        Value::List(values) => format!("[{}]", values.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", key.name, flow(value)));
            format!("{{ {} }}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn as_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
