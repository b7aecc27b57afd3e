//! The runner: takes objects from the queue and brings each through one pass. The same for all kinds.
//!
//! A pass: quarantine what vanished under this name → let go or clean up → finalizer → the kind's own steps → one report.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::future::join_all;
use kube::api::Patch;
use serde_json::json;

use crate::api::condition::{PAUSED, READY, Reason, Wanted, find};
use crate::api::names::RELEASE;
use crate::api::{Account, AccountBackend, Department, Operator, Organization, Plan, Widget};

use crate::domain::rows::Row;

use super::cache::{Cached, Entry};
use super::cleanup::BESIDE_WAKES;
use super::context::{Context, is_ours};
use super::failure::{Failure, MAX_WAIT, Retry, Stop};
use super::lineage::paused_by;
use super::object::{Kind, Managed, Meta, ObjectName, Status, name_of};
use super::unreadable;
use super::{quarantine, released, report};

/// First delay of the backoff.
const FIRST_DELAY: Duration = Duration::from_millis(500);

/// What a kind's pass found when it came to its end.
pub struct Synced<S> {
    /// The kind's own fields of the status.
    pub status: S,
    /// Message of `Ready=True`.
    pub message: String,
    /// Further conditions.
    pub extra: Vec<Wanted>,
}

impl<S> Synced<S> {
    /// With the usual message.
    pub fn new(status: S) -> Self {
        Self { status, message: "The backend equals the spec.".to_owned(), extra: Vec::new() }
    }
}

/// How the clean-up of a Terminating object ended.
pub enum Cleanup {
    /// Nothing is left: the finalizer goes.
    LetGo,
    /// Not yet.
    Hold(Failure),
}

/// A kind's own part of a pass.
pub trait Reconcile: Cached {
    /// Brings the backend to the spec of a live object.
    fn sync(context: &Context, object: &Arc<Self>) -> impl Future<Output = Result<Synced<Self::Status>, Stop>>;

    /// Clears up after a Terminating object.
    fn clean_up(context: &Context, object: &Arc<Self>) -> impl Future<Output = Result<Cleanup, Stop>>;

    /// Puts numbers into the status that hold however the pass ends.
    fn count(_context: &Context, _object: &Self, _status: &mut Self::Status) {}

    /// Puts what a failure says into the kind's own fields of the status; and what the row says, where there is one.
    fn describe(_status: &mut Self::Status, _failure: &Failure, _row: Option<&Row>) {}

    /// Called when the object is paused.
    fn on_pause(_context: &Context, _object: &Arc<Self>) -> impl Future<Output = Result<(), Stop>> {
        async { Ok(()) }
    }

    /// Lets go of a live or Terminating object that is annotated so. Only accounts and organizations can be.
    fn release(_context: &Context, _object: &Arc<Self>) -> impl Future<Output = Result<Option<Failure>, Stop>> {
        async { Ok(None) }
    }
}

/// Failures in a row, by object.
#[derive(Default)]
pub struct Failures(Mutex<HashMap<ObjectName, u32>>);

impl Failures {
    fn next_delay(&self, name: &ObjectName) -> Duration {
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let count = all.entry(name.clone()).or_default();
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(*count)).min(MAX_WAIT);
        *count = count.saturating_add(1).min(16);
        delay.mul_f64(jitter())
    }

    fn clear(&self, name: &ObjectName) {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(name);
    }
}

/// Between 0.75 and 1.25, so that a thousand objects that failed together do not come back together.
fn jitter() -> f64 {
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    0.75 + f64::from(random) / f64::from(u32::MAX) / 2.0
}

/// Works on the queue with so many passes at a time, until the program stops. Passes under way are finished.
pub async fn run(context: &Context, workers: usize) {
    let failures = Failures::default();
    join_all((0..workers).map(|_| worker(context, &failures))).await;
}

async fn worker(context: &Context, failures: &Failures) {
    loop {
        let name = tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            name = context.queue.next() => name,
        };
        turn(context, failures, name).await;
    }
}

/// One pass over an object taken from the queue, and what follows from its end.
pub async fn turn(context: &Context, failures: &Failures, name: ObjectName) {
    let began = Instant::now();
    let result = match name.kind {
        Kind::AccountBackend => pass::<AccountBackend>(context, &name).await,
        Kind::Plan => pass::<Plan>(context, &name).await,
        Kind::Account => pass::<Account>(context, &name).await,
        Kind::Organization => pass::<Organization>(context, &name).await,
        Kind::Operator => pass::<Operator>(context, &name).await,
        Kind::Department => pass::<Department>(context, &name).await,
        Kind::Widget => pass::<Widget>(context, &name).await,
    };
    let outcome = schedule(context, failures, &name, result);
    context.metrics.pass(name.kind, outcome, began.elapsed());
    context.queue.done(&name);
}

/// Asks for the next pass as the last one's end wants it. Returns the outcome's name for the metrics.
fn schedule(context: &Context, failures: &Failures, name: &ObjectName, result: Result<Option<Duration>, Stop>) -> &'static str {
    match result {
        Ok(again) => {
            failures.clear(name);
            if let Some(delay) = again {
                context.queue.push_after(name.clone(), delay);
            }
            "Synced"
        }
        Err(Stop::Failure(failure)) => {
            tracing::debug!(%name, reason = failure.reason.as_str(), message = failure.message, "not ready");
            match failure.retry {
                Retry::OnChange => failures.clear(name),
                Retry::Backoff => context.queue.push_after(name.clone(), failures.next_delay(name)),
                Retry::After(delay) => context.queue.push_after(name.clone(), delay.mul_f64(jitter())),
            }
            failure.reason.as_str()
        }
        Err(Stop::Deferred(parent)) => {
            context.queue.defer(name.clone(), &parent);
            "Deferred"
        }
        Err(Stop::WithParent) => {
            context.queue.push_after(name.clone(), BESIDE_WAKES.mul_f64(jitter()));
            "WithParent"
        }
        Err(Stop::NotOurs) => "NotOurs",
        Err(Stop::Outdated) => {
            context.queue.push_after(name.clone(), FIRST_DELAY);
            "Outdated"
        }
    }
}

async fn pass<K: Reconcile>(context: &Context, name: &ObjectName) -> Result<Option<Duration>, Stop> {
    quarantine::vanished(context, name).await?;
    let Some(entry) = context.cache().entry::<K>(name) else { return Ok(None) };
    if !is_ours(context, name) {
        return Err(Stop::NotOurs);
    }
    let object = match entry {
        Entry::Good(object) => object,
        Entry::Bad(bad) => return unreadable::pass::<K>(context, name, &bad).await.map(|()| None),
    };
    if object.released()
        && let Some(failure) = report_stop::<K, _>(context, &object, K::release(context, &object).await).await?
    {
        return let_go_released(context, &object, failure).await;
    }
    context.connections.is_told(&object.key());
    if let Some(failure) = released::along(context, object.as_ref())? {
        return let_go_released(context, &object, failure).await;
    }
    if let Some(by) = paused_by(context, name) {
        K::on_pause(context, &object).await?;
        return quietly(report::paused(context, object.as_ref(), &by).await).map(|()| None);
    }
    if object.terminating() {
        return finish::<K>(context, &object).await.map(|()| None);
    }
    let object = ensure_finalizer(context, object).await?;
    let result = K::sync(context, &object).await;
    let synced = report_stop::<K, _>(context, &object, result).await?;
    let Synced { mut status, message, extra } = synced;
    K::count(context, &object, &mut status);
    quietly(report::synced(context, object.as_ref(), status, &message, extra).await)?;
    Ok(None)
}

/// Reports a failure before it is passed on; anything else passes as it is.
async fn report_stop<K: Reconcile, T>(context: &Context, object: &K, result: Result<T, Stop>) -> Result<T, Stop> {
    if let Err(Stop::Failure(failure)) = &result {
        let current = context.cache().get::<K>(object.namespace(), object.name());
        let current = current.filter(|current| current.key() == object.key());
        let current = current.as_deref().unwrap_or(object);
        if failure.spares_settled && K::KIND != Kind::AccountBackend && is_settled(current) {
            return result;
        }
        let mut status = current.status().cloned().unwrap_or_default();
        let row = note_row(context, object, &mut status);
        K::count(context, object, &mut status);
        K::describe(&mut status, failure, row.as_deref());
        let generation = object.metadata().generation.unwrap_or_default();
        quietly(report::failed(context, current, generation, status, failure).await)?;
        leave_the_queue(context, object, failure.reason).await?;
    }
    result
}

/// The evidence of an object's row (rule 13) goes with whatever is reported: it may have come in the pass that then failed.
fn note_row<K: Reconcile>(context: &Context, object: &K, status: &mut K::Status) -> Option<Arc<Row>> {
    let key = object.key();
    // Where the object stands now; or where its row is, while it stands nowhere.
    let connection = context.connection_of(&name_of(object)).or_else(|| context.connections.holding(&key).into_iter().next())?;
    let row = connection.observed().row(&key).filter(|row| !row.quarantined)?;
    if connection.session().is_some() {
        status.set_evidence(&row.external_id, &connection.store_id);
    }
    Some(row)
}

/// An object that cannot use a place gives up its ticket, so that the next in line is not held up (rule 2).
async fn leave_the_queue<K: Managed>(context: &Context, object: &K, reason: Reason) -> Result<(), Stop> {
    use Reason as R;
    let unfit = matches!(
        reason,
        R::Invalid
            | R::WaitingForMember
            | R::WaitingForParent
            | R::NamespaceNotAllowed
            | R::PlanNotFound
            | R::BackendNotFound
            | R::Released
            | R::NameTaken
    );
    let (name, key) = (name_of(object), object.key());
    let holding = context.connections.holding(&key).into_iter().find(|connection| connection.observed().ticket(&key).is_some());
    let Some(connection) = holding.filter(|_| unfit) else { return Ok(()) };
    let account = context.cache().account_of(&name).unwrap_or(name);
    context.write(&connection, &account, async |backend, session| backend.drop_ticket(session, &key).await).await?;
    connection.observed().ask_again(&key);
    Ok(())
}

/// Whether the object is ready in its present form: what hinders only writing changes nothing about it.
fn is_settled<K: Cached>(object: &K) -> bool {
    let status = object.status();
    status.is_some_and(|status| {
        status.observed_generation() == object.metadata().generation.unwrap_or_default()
            && find(status.conditions(), READY).is_some_and(|ready| ready.status == "True")
            && find(status.conditions(), PAUSED).is_none()
    })
}

/// Adds our finalizer where no admission policy did, before anything is written for the object.
pub async fn ensure_finalizer<K: Cached>(context: &Context, object: Arc<K>) -> Result<Arc<K>, Stop> {
    if object.has_finalizer(K::FINALIZER) || object.released() {
        return Ok(object);
    }
    let operations = if object.metadata().finalizers.as_ref().is_none_or(Vec::is_empty) {
        vec![
            json!({"op": "test", "path": "/metadata/finalizers", "value": null}),
            json!({"op": "add", "path": "/metadata/finalizers", "value": [K::FINALIZER]}),
        ]
    } else {
        vec![json!({"op": "add", "path": "/metadata/finalizers/-", "value": K::FINALIZER})]
    };
    patch_finalizers(context, object.as_ref(), operations).await.map(|returned| context.returned(returned))
}

/// Clears up after a Terminating object and removes our finalizer.
async fn finish<K: Reconcile>(context: &Context, object: &Arc<K>) -> Result<(), Stop> {
    if !object.has_finalizer(K::FINALIZER) {
        return Ok(());
    }
    let result = K::clean_up(context, object).await;
    report_stop::<K, _>(context, object, result.and_then(hold)).await?;
    remove_finalizer(context, object.as_ref()).await
}

fn hold(cleanup: Cleanup) -> Result<(), Stop> {
    match cleanup {
        Cleanup::LetGo => Ok(()),
        Cleanup::Hold(failure) => Err(failure.into()),
    }
}

/// Reports a released object, and removes the finalizer. Returns when to tell the backend, if that could not be told.
async fn let_go_released<K: Reconcile>(context: &Context, object: &Arc<K>, failure: Failure) -> Result<Option<Duration>, Stop> {
    let mut status = object.status().cloned().unwrap_or_default();
    K::describe(&mut status, &failure, None);
    let generation = object.metadata().generation.unwrap_or_default();
    quietly(report::failed(context, object.as_ref(), generation, status, &failure).await)?;
    if object.released() || object.terminating() {
        remove_finalizer(context, object.as_ref()).await?;
    } else if object.has_finalizer(K::FINALIZER) {
        let_go_with_its_parent(context, object.as_ref()).await?;
    }
    Ok(if let Retry::After(delay) = failure.retry { Some(delay) } else { None })
}

/// A live object whose row went with a released parent is marked as released itself and loses its finalizer: it must not hang when
/// nobody runs the controller any more. One write, since the admission policy would put the finalizer back.
async fn let_go_with_its_parent<K: Cached>(context: &Context, object: &K) -> Result<(), Stop> {
    let current = context.cache().get::<K>(object.namespace(), object.name()).filter(|current| current.key() == object.key());
    let Some(current) = current else { return Ok(()) };
    let meta = current.metadata();
    let finalizers: Vec<_> = meta.finalizers.iter().flatten().filter(|one| *one != K::FINALIZER).collect();
    let patch = Patch::Merge(json!({"metadata": {
        "uid": meta.uid,
        "resourceVersion": meta.resource_version,
        "annotations": {RELEASE: current.name()},
        "finalizers": finalizers,
    }}));
    let result = context.api::<K>(current.namespace()).patch(current.name(), &report::params(), &patch).await;
    context.metrics.api_write("patch");
    context.returned(result.map_err(outdated)?);
    Ok(())
}

/// Removes our finalizer from exactly this object.
async fn remove_finalizer<K: Cached>(context: &Context, object: &K) -> Result<(), Stop> {
    let Some(index) = object.metadata().finalizers.iter().flatten().position(|one| one == K::FINALIZER) else { return Ok(()) };
    let path = format!("/metadata/finalizers/{index}");
    let operations = vec![json!({"op": "test", "path": path, "value": K::FINALIZER}), json!({"op": "remove", "path": path})];
    let returned = patch_finalizers(context, object, operations).await?;
    if !returned.terminating() || returned.metadata().finalizers.as_ref().is_some_and(|all| !all.is_empty()) {
        context.returned(returned);
    }
    Ok(())
}

async fn patch_finalizers<K: Cached>(context: &Context, object: &K, operations: Vec<serde_json::Value>) -> Result<K, Stop> {
    let patch = report::patch_for(&object.key().0, operations);
    let result = context.api::<K>(object.namespace()).patch(object.name(), &report::params(), &patch).await;
    context.metrics.api_write("patch");
    result.map_err(outdated)
}

/// A patch that does not fit the object any more is no failure: the watch brings the object as it is now.
fn outdated(error: kube::Error) -> Stop {
    match error {
        kube::Error::Api(status) if matches!(status.code, 404 | 409) => Stop::Outdated,
        // The API server's only word on a JSON Patch whose test failed.
        kube::Error::Api(status) if status.code == 422 && status.details.is_none() => Stop::Outdated,
        other => other.into(),
    }
}

fn quietly(result: Result<(), kube::Error>) -> Result<(), Stop> {
    result.map_err(outdated)
}
