//! Says what a pass found: one status patch when something changed, and an Event on a transition.

use json_patch::jsonptr::PointerBuf;
use json_patch::{AddOperation, PatchOperation, TestOperation};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType};
use serde::Serialize;
use serde_json::{Value, json};

use crate::api::condition::{
    AVAILABLE, PAUSED, READY, Reason, STALLED, Standing, WITHIN_PLAN, Wanted, find, readiness, reword, set_conditions,
};
use crate::api::names::FIELD_MANAGER;
use crate::domain::text;

use super::cache::Cached;
use super::context::Context;
use super::failure::Failure;
use super::object::{Kind, Managed, Meta, ObjectName, Status};

/// Longest note of an Event; the API server refuses more than 1,024.
const MAX_NOTE: usize = 1000;

/// A JSON Patch for exactly this object: it begins with a test of the UID.
pub fn patch_for(uid: &str, operations: impl IntoIterator<Item = Value>) -> Patch<()> {
    let mut all = vec![json!({"op": "test", "path": "/metadata/uid", "value": uid})];
    all.extend(operations);
    Patch::Json(serde_json::from_value(Value::Array(all)).unwrap_or_default())
}

/// A JSON Patch that writes the whole status of exactly this object, and with a version only of that. Made without the detour over
/// JSON: there is one for each object.
fn status_patch(uid: &str, version: Option<&str>, status: &impl Serialize) -> Patch<()> {
    let test = |field: &str, value: &str| {
        PatchOperation::Test(TestOperation { path: PointerBuf::from_tokens(["metadata", field]), value: value.into() })
    };
    let mut operations = vec![test("uid", uid)];
    operations.extend(version.map(|version| test("resourceVersion", version)));
    operations.push(PatchOperation::Add(AddOperation { path: PointerBuf::from_tokens(["status"]), value: json!(status) }));
    Patch::Json(json_patch::Patch(operations))
}

/// Parameters of every patch of ours.
pub fn params() -> PatchParams {
    PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..Default::default() }
}

/// Writes a status, unless it is the one the object has.
pub async fn patch_status<K: Cached>(context: &Context, object: &K, status: &K::Status) -> Result<(), kube::Error> {
    if object.status() == Some(status) {
        return Ok(());
    }
    // The one status that is not written by its own passes alone: what another wrote meanwhile must not be lost.
    let version = object.metadata().resource_version.as_deref().filter(|_| K::KIND == Kind::AccountBackend);
    let patch = status_patch(&object.key().0, version, status);
    let api = context.api::<K>(object.namespace());
    let returned = api.patch_status(object.name(), &params(), &patch).await?;
    context.metrics.api_write("patch_status");
    context.returned(returned);
    Ok(())
}

/// Reports a pass that came to its end.
pub async fn synced<K: Cached>(
    context: &Context,
    object: &K,
    status: K::Status,
    message: &str,
    extra: Vec<Wanted>,
) -> Result<(), kube::Error> {
    let mut wanted = readiness(Reason::Synced, message);
    wanted.extend(extra);
    let generation = object.metadata().generation.unwrap_or_default();
    report(context, object, generation, status, Reason::Synced, wanted, Vec::new()).await
}

/// Reports a pass over this generation that stopped. Conditions of the kind itself stay as they are.
pub async fn failed<K: Cached>(
    context: &Context,
    object: &K,
    generation: i64,
    status: K::Status,
    failure: &Failure,
) -> Result<(), kube::Error> {
    let kept = status.conditions().iter().filter(|condition| [WITHIN_PLAN, AVAILABLE].contains(&condition.type_.as_str()));
    let kept = kept.cloned().collect();
    report(context, object, generation, status, failure.reason, readiness(failure.reason, &failure.message), kept).await
}

/// Reason of `Paused` on the object that has the annotation; the objects below it say [`PAUSED_BY_PARENT`].
const PAUSED_BY_ANNOTATION: &str = "PausedByAnnotation";
const PAUSED_BY_PARENT: &str = "PausedByParent";

/// In the message of `Ready` while paused: what stands after it was said before.
const LAST_SAID: &str = " Before that: ";

/// Reports that writes are paused: `Ready` and the observed generation stay as they are, but for the words of the message.
pub async fn paused<K: Cached>(context: &Context, object: &K, by: &ObjectName) -> Result<(), kube::Error> {
    let mut status = object.status().cloned().unwrap_or_default();
    let generation = status.observed_generation();
    let before = status.conditions().to_vec();
    let reason = if object.paused() { PAUSED_BY_ANNOTATION } else { PAUSED_BY_PARENT };
    let waits = what_waits(object, generation);
    let message =
        format!("Nothing is written to the backend: {by} has the annotation deskplane.dev/paused: \"true\".{waits} Remove it to go on.");
    let paused = Wanted { type_: PAUSED, status: true, reason, message: message.clone() };
    let mut conditions = before.clone();
    conditions.retain(|condition| condition.type_ != PAUSED);
    // The message that people see in lists.
    for ready in conditions.iter_mut().filter(|condition| condition.type_ == READY) {
        let before = ready.message.split_once(LAST_SAID).map_or(ready.message.as_str(), |(_, before)| before);
        reword(ready, &format!("Paused by {by}: nothing is written to the backend.{waits}{LAST_SAID}{before}"));
    }
    conditions.extend(set_conditions(&before, vec![paused], generation, Timestamp::now()));
    status.observe(generation, conditions);
    patch_status(context, object, &status).await?;
    if object.paused() && !said_paused(&before) {
        publish(context, object, pause("Paused", message)).await;
    }
    Ok(())
}

/// What of an object is not carried out while it is paused.
fn what_waits<K: Managed>(object: &K, observed: i64) -> String {
    let changed = object.metadata().generation.is_some_and(|generation| generation > observed);
    match (object.terminating(), changed) {
        (true, _) => " Its deletion waits.".to_owned(),
        (false, true) if observed < 0 => " It waits to be looked at for the first time.".to_owned(),
        (false, true) => format!(" What was changed in its spec since generation {observed} is not applied."),
        (false, false) => String::new(),
    }
}

/// Whether the object said that it is paused by its own annotation: only then its pause is an Event. A pause above thousands is one.
fn said_paused(conditions: &[Condition]) -> bool {
    find(conditions, PAUSED).is_some_and(|condition| condition.reason == PAUSED_BY_ANNOTATION)
}

async fn report<K: Cached>(
    context: &Context,
    object: &K,
    generation: i64,
    mut status: K::Status,
    reason: Reason,
    wanted: Vec<Wanted>,
    kept: Vec<Condition>,
) -> Result<(), kube::Error> {
    let before = object.status().map(Status::conditions).unwrap_or_default();
    let mut conditions = set_conditions(before, wanted, generation, Timestamp::now());
    conditions.extend(kept);
    status.observe(generation, conditions);
    patch_status(context, object, &status).await?;
    if said_paused(before) && !object.paused() {
        publish(context, object, pause("Resumed", "The annotation deskplane.dev/paused is gone: the controller goes on.".to_owned())).await;
    }
    if let Some(event) = transition(before, reason, status.conditions()) {
        publish(context, object, event).await;
    }
    Ok(())
}

/// The Event of a transition: something stalls, stalls for another reason, goes again, or is being erased. An object that becomes
/// ready at once is no news.
fn transition(before: &[Condition], reason: Reason, after: &[Condition]) -> Option<Event> {
    let old = find(before, READY);
    if old.is_some_and(|old| old.reason == reason.as_str()) {
        return None;
    }
    let was_stalled = find(before, STALLED).is_some();
    let type_ = match (reason.standing(), was_stalled) {
        // Somebody asked for it.
        (Standing::Stalled, _) if reason == Reason::Released => EventType::Normal,
        (Standing::Stalled, _) => EventType::Warning,
        (Standing::Ready, true) => EventType::Normal,
        (Standing::Reconciling, _) if reason == Reason::Erasing => EventType::Normal,
        _ => return None,
    };
    let note = find(after, READY).map(|condition| condition.message.clone());
    Some(Event { type_, reason: reason.as_str().to_owned(), note, action: "Reconcile".to_owned(), secondary: None })
}

/// Logs an Event about an object and publishes it. One that cannot be published is only logged: the status says the same.
pub async fn publish<K: Managed>(context: &Context, object: &K, event: Event) {
    publish_about(context, K::KIND, &object.object_ref(&()), event).await;
}

/// The same, about an object that cannot be read.
pub async fn publish_about(context: &Context, kind: Kind, reference: &ObjectReference, mut event: Event) {
    event.note = event.note.map(|note| text::display(&note, MAX_NOTE));
    let note = event.note.as_deref().unwrap_or_default();
    let (kind, namespace, name) =
        (kind.as_str(), reference.namespace.as_deref().unwrap_or_default(), reference.name.as_deref().unwrap_or_default());
    match event.type_ {
        EventType::Warning => tracing::warn!(kind, namespace, name, reason = event.reason, "{note}"),
        EventType::Normal => tracing::info!(kind, namespace, name, reason = event.reason, "{note}"),
    }
    if let Err(error) = context.recorder.publish(&event, reference).await {
        tracing::debug!(kind, namespace, name, %error, "an Event could not be published");
    }
    context.metrics.api_write("event");
}

/// An Event that tells a fact.
pub fn news(reason: &str, note: String) -> Event {
    Event { type_: EventType::Normal, reason: reason.to_owned(), note: Some(note), action: "Delete".to_owned(), secondary: None }
}

fn pause(reason: &str, note: String) -> Event {
    Event { action: "Pause".to_owned(), ..news(reason, note) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_patch_is_the_json_patch_it_stands_for() {
        let status = json!({"seat": "Held"});
        let add = json!({"op": "add", "path": "/status", "value": status});
        let version = json!({"op": "test", "path": "/metadata/resourceVersion", "value": "7"});
        for (version, operations) in [(None, vec![add.clone()]), (Some("7"), vec![version, add])] {
            assert_eq!(format!("{:?}", status_patch("1", version, &status)), format!("{:?}", patch_for("1", operations)));
        }
    }
}
