//! Waits until the controller has let go of each object: watches, no polling.

use std::collections::{HashMap, HashSet};
use std::pin::pin;

use futures::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressStyle};
use kube::api::DynamicObject;
use kube::runtime::watcher::{Config, Error, Event};
use kube::runtime::{WatchStreamExt, watcher};
use tokio::time::{Instant, timeout_at};

use super::Scope;
use super::receipt::{Line, Outcome};
use crate::cli::connect::Cluster;
use crate::cli::error::CliError;
use crate::cli::target::{Target, TargetKind};

/// Waits until every line is settled, or for the deadline.
pub async fn settle(cluster: &Cluster, scope: &Scope, lines: &mut [Line], deadline: Instant) -> Result<(), CliError> {
    let mut waiting = Waiting::new(lines);
    // On a terminal only: elsewhere it draws nothing.
    let bar = ProgressBar::new(lines_len(waiting.lines));
    if let Ok(style) = ProgressStyle::with_template("released {pos}/{len} {wide_bar} {elapsed}") {
        bar.set_style(style);
    }
    let result = timeout_at(deadline, watch(cluster, scope, &mut waiting, &bar)).await;
    bar.finish_and_clear();
    // What has not settled by the deadline stands in the lines as it was last seen.
    waiting.give_up();
    result.unwrap_or(Ok(()))
}

fn lines_len(lines: &[Line]) -> u64 {
    u64::try_from(lines.len()).unwrap_or(u64::MAX)
}

async fn watch(cluster: &Cluster, scope: &Scope, waiting: &mut Waiting<'_>, bar: &ProgressBar) -> Result<(), CliError> {
    let kinds = [TargetKind::Account, TargetKind::Organization].into_iter().filter(|kind| waiting.has(*kind));
    let streams = kinds.map(|kind| {
        let fields = scope.one.as_ref().map(|(one, name)| match (one, kind) {
            (TargetKind::Account, TargetKind::Organization) => format!("spec.accountRef.name={name}"),
            _ => format!("metadata.name={name}"),
        });
        let config = fields.map_or_else(Config::default, |fields| Config::default().fields(&fields));
        let events = watcher(kind.api(cluster, scope.namespace.as_deref()), config).default_backoff();
        events.map(move |event| (kind, event)).boxed()
    });
    let mut events = pin!(stream::select_all(streams));
    while !waiting.is_done() {
        let Some((kind, event)) = events.next().await else { break };
        match event {
            Ok(event) => waiting.see(kind, event),
            Err(error) => fatal(kind, error)?,
        }
        bar.set_position(waiting.settled());
    }
    Ok(())
}

/// Ends the wait where trying again does not help.
fn fatal(kind: TargetKind, error: Error) -> Result<(), CliError> {
    let (Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error)) = error else { return Ok(()) };
    let hopeless = matches!(&error, kube::Error::Api(status) if [401, 403, 404].contains(&status.code));
    if hopeless { Err(CliError::request(format!("watching {}", kind.resource()), &error)) } else { Ok(()) }
}

/// The lines, found by UID.
struct Waiting<'a> {
    lines: &'a mut [Line],
    by_uid: HashMap<String, usize>,
    /// UIDs seen since a listing of the kind began.
    listed: HashMap<TargetKind, HashSet<String>>,
}

impl<'a> Waiting<'a> {
    fn new(lines: &'a mut [Line]) -> Self {
        let by_uid = lines.iter().enumerate().map(|(index, line)| (line.uid.clone(), index)).collect();
        Self { lines, by_uid, listed: HashMap::new() }
    }

    fn has(&self, kind: TargetKind) -> bool {
        self.lines.iter().any(|line| line.kind == kind)
    }

    fn is_done(&self) -> bool {
        self.lines.iter().all(Line::is_settled)
    }

    fn settled(&self) -> u64 {
        self.lines.iter().filter(|line| line.is_settled()).map(|_| 1).sum()
    }

    fn see(&mut self, kind: TargetKind, event: Event<DynamicObject>) {
        match event {
            Event::Init => drop(self.listed.insert(kind, HashSet::new())),
            Event::InitApply(object) => {
                let target = Target::new(kind, object);
                self.listed.entry(kind).or_default().insert(target.uid().to_owned());
                self.update(&target);
            }
            Event::InitDone => {
                let listed = self.listed.remove(&kind).unwrap_or_default();
                let gone = self.lines.iter().filter(|line| line.kind == kind && !listed.contains(&line.uid));
                let gone: Vec<String> = gone.map(|line| line.uid.clone()).collect();
                for uid in gone {
                    self.set_gone(&uid);
                }
            }
            Event::Apply(object) => {
                self.update(&Target::new(kind, object));
            }
            Event::Delete(object) => self.set_gone(Target::new(kind, object).uid()),
        }
    }

    /// Whatever was never seen remains.
    fn give_up(&mut self) {
        for line in self.lines.iter_mut().filter(|line| line.outcome == Outcome::Asked) {
            line.outcome = Outcome::Remains { reason: "NoAnswer".to_owned(), message: "the API server did not say how it is".to_owned() };
        }
    }

    fn update(&mut self, target: &Target) {
        if let Some(line) = self.line(target.uid()) {
            line.update(target);
        }
    }

    fn set_gone(&mut self, uid: &str) {
        if let Some(line) = self.line(uid) {
            line.outcome = Outcome::Gone;
        }
    }

    /// The line of an object. A refusal stays: the object was not even asked for.
    fn line(&mut self, uid: &str) -> Option<&mut Line> {
        let line = self.by_uid.get(uid).and_then(|&index| self.lines.get_mut(index));
        line.filter(|line| !matches!(line.outcome, Outcome::Refused { .. }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(uid: &str, reason: &str) -> DynamicObject {
        let condition =
            json!({"type": "Ready", "status": "False", "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let metadata = json!({"name": uid, "namespace": "chat", "uid": uid});
        serde_json::from_value(json!({"metadata": metadata, "status": {"conditions": [condition]}})).unwrap()
    }

    fn lines(uids: &[&str]) -> Vec<Line> {
        uids.iter().map(|uid| Line::new(&Target::new(TargetKind::Organization, object(uid, "Synced")), Outcome::Asked)).collect()
    }

    #[test]
    fn objects_settle_when_released_or_gone() {
        let mut lines = lines(&["a", "b", "c", "d"]);
        lines[3].outcome = Outcome::Refused { message: "no".to_owned() };
        let mut waiting = Waiting::new(&mut lines);
        let kind = TargetKind::Organization;
        waiting.see(kind, Event::Init);
        waiting.see(kind, Event::InitApply(object("a", "Synced")));
        waiting.see(kind, Event::InitApply(object("b", "Synced")));
        waiting.see(kind, Event::InitApply(object("d", "Released")));
        waiting.see(kind, Event::InitDone);
        assert_eq!((waiting.settled(), waiting.is_done()), (2, false));
        waiting.see(kind, Event::Apply(object("a", "Released")));
        waiting.see(kind, Event::Apply(object("stranger", "Released")));
        waiting.see(kind, Event::Delete(object("b", "Synced")));
        assert!(waiting.is_done());
        let outcomes: Vec<_> = lines.into_iter().map(|line| line.outcome).collect();
        assert_eq!(outcomes[..3], [Outcome::Released, Outcome::Gone, Outcome::Gone]);
        assert!(matches!(outcomes[3], Outcome::Refused { .. }));
    }

    #[test]
    fn an_interrupted_listing_counts_nobody_as_gone() {
        let mut lines = lines(&["a"]);
        let mut waiting = Waiting::new(&mut lines);
        waiting.see(TargetKind::Organization, Event::Init);
        waiting.see(TargetKind::Organization, Event::Init);
        assert!(!waiting.is_done());
        waiting.see(TargetKind::Account, Event::Init);
        waiting.see(TargetKind::Account, Event::InitDone);
        assert!(!waiting.is_done(), "another kind's listing says nothing about it");
        waiting.give_up();
        assert!(matches!(&lines[0].outcome, Outcome::Remains { reason, .. } if reason == "NoAnswer"));
    }
}
