//! The loop: watches the objects, runs a pass for each that may need one, and asks for the next.

pub mod claim;
pub mod context;
pub mod error;
pub mod finalizer;
pub mod outdated;
pub mod pass;
pub mod place;
pub mod teardown;
pub mod unreadable;
pub mod write;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{FutureExt, Stream, StreamExt, future, stream};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config};
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{Controller, Predicate, PredicateConfig, WatchStreamExt, predicates, watcher};
use kube::{Api, Resource, ResourceExt};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, info_span, warn};

use self::context::Context;
use self::error::Error;
use crate::api::v1alpha1::SendingDomain;
use crate::api::{FORCE_RELEASE, RECONCILE_AT, RECREATE_AT};
use crate::observe::PASS_TIMEOUT;
use crate::telemetry::metrics::ReconcileResult;
use crate::telemetry::probes::Beat;

/// An object as the watch delivers it: one that this version cannot read does not stop the watch of all others.
pub type Guarded = DeserializeGuard<SendingDomain>;

/// How many passes run at once. A pass waits for the network most of its time, and silent name servers of one tenant must
/// not keep the others waiting.
const CONCURRENCY: u16 = 128;

/// Changes that come in quick succession are one change.
const DEBOUNCE: Duration = Duration::from_millis(200);

/// How often the loop says that it turns.
const TURN: Duration = Duration::from_secs(10);

/// Which objects are watched.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// `--watch-namespace`; empty for all namespaces.
    pub namespaces: Vec<String>,
    /// `--watch-label-selector`.
    pub selector: Option<String>,
}

/// One watch with its cache.
pub struct Watch {
    /// Its namespace; `None` for all.
    namespace: Option<String>,
    api: Api<Guarded>,
    store: Store<Guarded>,
    writer: reflector::store::Writer<Guarded>,
}

/// Prepares a watch for each namespace: several namespaces cannot share one cache.
pub fn watches(client: &kube::Client, scope: &Scope) -> Vec<Watch> {
    let watch = |namespace: Option<&String>| {
        let (store, writer) = reflector::store();
        let api = namespace.map_or_else(|| Api::all(client.clone()), |ns| Api::namespaced(client.clone(), ns));
        Watch { namespace: namespace.cloned(), api, store, writer }
    };
    if scope.namespaces.is_empty() { vec![watch(None)] } else { scope.namespaces.iter().map(Some).map(watch).collect() }
}

impl Watch {
    /// The cache of this watch.
    pub fn store(&self) -> Store<Guarded> {
        self.store.clone()
    }
}

/// Runs until `stop`, letting running passes finish.
pub async fn run(watches: Vec<Watch>, scope: &Scope, context: Arc<Context>, stop: CancellationToken) {
    let controllers = watches.into_iter().map(|watch| control(watch, scope, context.clone(), stop.clone()));
    future::join_all(controllers).await;
}

async fn control(watch: Watch, scope: &Scope, context: Arc<Context>, stop: CancellationToken) {
    let mut config = watcher::Config::default();
    config.label_selector.clone_from(&scope.selector);
    let (shared, changed, waker) = (context.clone(), context.clone(), context.clone());
    let woken = context.wakes.listen().filter_map(move |asker| {
        let is_here = !asker.namespace.is_empty() && watch.namespace.as_ref().is_none_or(|ns| *ns == asker.namespace);
        if is_here {
            waker.metrics.due(&asker.namespace, &asker.name, DEBOUNCE);
        }
        future::ready(is_here.then(|| ObjectRef::new(&asker.name).within(&asker.namespace)))
    });
    let mut first = true;
    let stream = watcher(watch.api, config)
        .default_backoff()
        .modify(|object| object.managed_fields_mut().clear())
        .reflect(watch.writer)
        .inspect(move |event| match event {
            Ok(watcher::Event::InitDone) => {
                if std::mem::take(&mut first) {
                    shared.cache_listed();
                }
            }
            Ok(watcher::Event::Delete(object)) => forget(object, &shared),
            Ok(_) => {}
            Err(error) => {
                shared.metrics.watch_failed();
                warn!(error = %error, "the watch of SendingDomains failed; it is tried again");
            }
        })
        .filter_map(|event| future::ready(event.ok()))
        .map(Ok)
        .applied_objects()
        .predicate_filter(
            predicates::generation.combine(predicates::finalizers).combine(predicates::labels).combine(our_annotations),
            PredicateConfig::default(),
        )
        .inspect(move |object| {
            if let Ok(object) = object {
                changed.metrics.due(&object.namespace().unwrap_or_default(), &object.name_any(), DEBOUNCE);
            }
        });
    let woken = stream::select(woken, turns(context.liveness.register()));
    Controller::for_stream(stream, watch.store)
        .with_config(Config::default().concurrency(CONCURRENCY).debounce(DEBOUNCE))
        .reconcile_on(woken)
        .graceful_shutdown_on(async move { stop.cancelled().await })
        .run(reconcile, error_policy, context)
        .for_each(|result| {
            if let Err(error) = result {
                debug!(error = %error, "pass ended with an error");
            }
            future::ready(())
        })
        .await;
}

/// Lets go of what is remembered of an object that is gone, or that is another operator's now.
fn forget(object: &Guarded, context: &Context) {
    if let Some(uid) = object.uid() {
        context.memories.forget(&uid);
    }
    context.ses.forget(&pass::asker(object));
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    context.metrics.object(&namespace, &name, None);
    context.metrics.not_due(&namespace, &name);
}

/// Wakes nobody, and beats whenever the controller's loop asks it.
fn turns(beat: Beat) -> impl Stream<Item = ObjectRef<Guarded>> {
    let ticks = stream::unfold(tokio::time::interval(TURN), |mut ticks| async {
        ticks.tick().await;
        Some(((), ticks))
    });
    ticks.filter_map(move |()| {
        beat.beat();
        future::ready(None)
    })
}

/// The next pass is due after `wait`; not if the object went meanwhile, which the watch knows first.
fn due(object: &Guarded, wait: Duration, context: &Context) {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    context.metrics.due(&namespace, &name, wait + DEBOUNCE);
    let reference = ObjectRef::from_obj(object);
    if context.stores.iter().all(|store| store.get(&reference).is_none()) {
        context.metrics.not_due(&namespace, &name);
    }
}

/// The annotations that the operator acts on; those of other tools must not wake it.
#[allow(clippy::unnecessary_wraps, reason = "the form of a predicate")]
fn our_annotations(object: &Guarded) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for key in [RECONCILE_AT, RECREATE_AT, FORCE_RELEASE] {
        object.annotations().get(key).hash(&mut hasher);
    }
    object.meta().deletion_timestamp.is_some().hash(&mut hasher);
    Some(hasher.finish())
}

/// One pass, fenced in: it cannot take the controller down, and it cannot last for ever.
async fn reconcile(object: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let span = info_span!("reconcile", %namespace, %name, generation = object.meta().generation);
    let (began, under_way) = (Instant::now(), context.metrics.begin(&namespace, &name));
    let result = match &object.0 {
        Err(invalid) => fenced(unreadable::pass(&object, invalid, &context).instrument(span), PASS_TIMEOUT).await,
        Ok(_) if !context.is_listed() => {
            Ok(pass::Done { next: Duration::from_secs(1), result: ReconcileResult::Waiting })
        }
        Ok(domain) => fenced(pass::pass(domain, &context).instrument(span), PASS_TIMEOUT).await,
    };
    drop(under_way);
    match &result {
        Ok(done) => due(&object, done.next, &context),
        Err(error) => context.metrics.reconcile_error(error.label()),
    }
    if let Err(Error::Panicked) = result {
        context.metrics.panicked();
    }
    let label = result.as_ref().map_or(ReconcileResult::Error, |done| done.result);
    context.metrics.reconcile(label, began.elapsed());
    result.map(|done| Action::requeue(done.next))
}

/// `pass`, which may panic or hang without harm to others.
async fn fenced<T>(pass: impl Future<Output = Result<T, Error>>, limit: Duration) -> Result<T, Error> {
    match tokio::time::timeout(limit, AssertUnwindSafe(pass).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Error::Panicked),
        Err(_) => Err(Error::TimedOut),
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the form that the controller asks for")]
fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    let attempts = context.memories.failed(object.uid().as_deref());
    let wait = error.retry(attempts);
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if error.is_routine() && attempts < 3 {
        debug!(%namespace, %name, %error, ?wait, "the pass is repeated");
    } else {
        warn!(%namespace, %name, %error, ?wait, "the pass failed and is repeated");
    }
    due(&object, wait, &context);
    Action::requeue(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::probes::Liveness;

    #[tokio::test]
    async fn a_loop_that_does_not_turn_is_dead_though_the_process_runs_and_another_loop_turns() {
        let (both, healthy) = (Liveness::default(), Liveness::default());
        let wedged = turns(both.register());
        let turning = [both.register(), healthy.register()].map(turns);
        tokio::time::sleep(Duration::from_secs(1)).await;
        for turns in turning {
            assert_eq!(std::pin::pin!(turns).next().now_or_never(), None, "nobody is woken");
        }
        let nearly = Duration::from_millis(299_500);
        assert_eq!(healthy.silent_for(nearly), Ok(()));
        assert!(both.silent_for(nearly).is_err());
        drop(wedged);
    }

    #[tokio::test]
    async fn g14_a_panic_or_a_hang_ends_one_pass_and_nothing_else() {
        let panics = async {
            let values: [u8; 0] = [];
            let index = std::hint::black_box(7);
            Ok(values[index])
        };
        assert!(matches!(fenced(panics, Duration::from_secs(5)).await, Err(Error::Panicked)));
        let hangs = future::pending::<Result<u8, Error>>();
        assert!(matches!(fenced(hangs, Duration::from_millis(10)).await, Err(Error::TimedOut)));
        assert!(matches!(fenced(future::ready(Ok(1)), Duration::from_secs(5)).await, Ok(1)));
        for error in [Error::Panicked, Error::TimedOut, Error::Conflict, Error::Incomplete("uid")] {
            assert!(error::LABELS.contains(&error.label()), "{error}");
        }
        assert!(Error::Panicked.retry(0) >= Duration::from_millis(500), "not in a hurry");
    }
}
