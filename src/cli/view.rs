//! What every object shows: whether it is ready, and why not.

use comfy_table::{Cell, Color};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use serde::Serialize;

use crate::api::condition::{PAUSED, READY, RECONCILING, find};
use crate::api::{Account, Department, Operator, Organization, Widget};

use super::output::colored;

/// The kinds in namespaces, by what their status says.
pub trait Observed: Resource<DynamicType = ()> {
    /// The generation the status speaks of, and its conditions.
    fn observed(&self) -> Option<(i64, &[Condition])>;
}

macro_rules! observed {
    ($($kind:ident)+) => {
        $(impl Observed for $kind {
            fn observed(&self) -> Option<(i64, &[Condition])> {
                self.status.as_ref().map(|status| (status.observed_generation, status.conditions.as_slice()))
            }
        })+
    };
}

observed!(Account Organization Operator Department Widget);

/// Ready, or not, or not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Ready {
    /// The backend equals the spec.
    True,
    /// It does not.
    False,
    /// The controller has not said so for the object as it is now.
    Unknown,
}

/// Whether an object is ready, and why not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether it is.
    pub status: Ready,
    /// One word.
    pub reason: String,
    /// For people; says what to do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// On the way, or a retry may help by itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reconciling: bool,
    /// Writes to the backend are stopped.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
}

impl Readiness {
    /// What the object's status says.
    pub fn of(object: &impl Observed) -> Self {
        let Some((observed, conditions)) = object.observed() else {
            return Self::unknown("NoStatus", "The controller has not seen it yet.");
        };
        let paused = find(conditions, PAUSED).is_some_and(|condition| condition.status == "True");
        let Some(ready) = find(conditions, READY) else { return Self::unknown("NoStatus", "The controller has not seen it yet.") };
        // A paused object keeps what was last said of it.
        if !paused && object.meta().generation.is_some_and(|generation| generation != observed) {
            return Self::unknown("Outdated", "The controller has not seen the latest change yet.");
        }
        let status = match ready.status.as_str() {
            "True" => Ready::True,
            "False" => Ready::False,
            _ => Ready::Unknown,
        };
        let reconciling = find(conditions, RECONCILING).is_some_and(|condition| condition.status == "True");
        let message = if status == Ready::True { String::new() } else { ready.message.clone() };
        Self { status, reason: ready.reason.clone(), message, reconciling, paused }
    }

    /// An object that is stored but cannot be read.
    pub fn unreadable(object: &InvalidObject) -> Self {
        Self::unknown("Unreadable", &format!("This version of deskplane cannot read the object: {}", object.error))
    }

    /// An object that others name and that does not exist.
    pub fn missing() -> Self {
        Self { status: Ready::False, ..Self::unknown("NotFound", "Others name it, and it does not exist.") }
    }

    fn unknown(reason: &str, message: &str) -> Self {
        Self { status: Ready::Unknown, reason: reason.to_owned(), message: message.to_owned(), reconciling: false, paused: false }
    }

    /// Why it is not ready; empty when it is.
    pub fn why(&self) -> String {
        let mut words: Vec<&str> = Vec::new();
        if self.status != Ready::True {
            words.push(&self.reason);
        }
        if self.paused {
            words.push("Paused");
        }
        words.join(", ")
    }

    /// A cell of the column Ready.
    pub fn cell(&self) -> Cell {
        match self.status {
            Ready::True => colored("True", Color::Green),
            Ready::False if self.reconciling => colored("False", Color::Yellow),
            Ready::False => colored("False", Color::Red),
            Ready::Unknown => colored("Unknown", Color::Yellow),
        }
    }

    /// A ready one, for tests.
    #[cfg(test)]
    pub fn synced() -> Self {
        Self { status: Ready::True, ..Self::unknown("Synced", "") }
    }

    /// One that is not, for tests.
    #[cfg(test)]
    pub fn not(reason: &str, message: &str) -> Self {
        Self { status: Ready::False, ..Self::unknown(reason, message) }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::api::condition::{Reason, Wanted, readiness, set_conditions};
    use crate::api::{OperatorSpec, OperatorStatus};

    fn operator(generation: i64, observed: i64, reason: Reason, paused: bool) -> Operator {
        let mut wanted = readiness(reason, "No free seat.");
        if paused {
            wanted.push(Wanted { type_: PAUSED, status: true, reason: "Paused", message: String::new() });
        }
        let mut operator = Operator::new("tom", OperatorSpec::default());
        operator.metadata.generation = Some(generation);
        let conditions = set_conditions(&[], wanted, observed, Timestamp::UNIX_EPOCH);
        operator.status = Some(OperatorStatus { observed_generation: observed, conditions, ..OperatorStatus::default() });
        operator
    }

    #[test]
    fn ready_counts_only_for_the_generation_that_was_seen() {
        assert_eq!(Readiness::of(&operator(2, 2, Reason::Synced, false)), Readiness::synced());
        let outdated = Readiness::of(&operator(3, 2, Reason::Synced, false));
        assert_eq!((outdated.status, outdated.why().as_str()), (Ready::Unknown, "Outdated"));
        let paused = Readiness::of(&operator(3, 2, Reason::Synced, true));
        assert_eq!((paused.status, paused.why().as_str()), (Ready::True, "Paused"));
    }

    #[test]
    fn the_reason_says_why_not() {
        let stalled = Readiness::of(&operator(1, 1, Reason::SeatLimitExceeded, true));
        assert_eq!((stalled.why().as_str(), stalled.message.as_str()), ("SeatLimitExceeded, Paused", "No free seat."));
        assert!(Readiness::of(&operator(1, 1, Reason::Progressing, false)).reconciling);
        assert_eq!(Readiness::of(&Operator::new("new", OperatorSpec::default())).why(), "NoStatus");
    }
}
