//! Conditions: their types, the reasons of `Ready`, and how they are set.
//!
//! The reasons are the vocabulary of `kubectl describe`, of Events and of metrics; there is no other list of them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// The backend equals the spec.
pub const READY: &str = "Ready";
/// On the way, or a retry may help by itself.
pub const RECONCILING: &str = "Reconciling";
/// A person must act.
pub const STALLED: &str = "Stalled";
/// Writes to the backend are stopped by annotation.
pub const PAUSED: &str = "Paused";
/// The account holds no more than its plan allows.
pub const WITHIN_PLAN: &str = "WithinPlan";
/// Visitors of the widget can reach somebody.
pub const AVAILABLE: &str = "Available";

/// Longest message of a condition, in characters.
pub const MAX_MESSAGE: usize = 1024;

/// How an object stands, as kstatus, Flux and Argo CD read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// `Ready=True`; neither `Reconciling` nor `Stalled`.
    Ready,
    /// `Ready=False` with `Reconciling=True`.
    Reconciling,
    /// `Ready=False` with `Stalled=True`.
    Stalled,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident: $standing:ident,)+) => {
        /// Why `Ready` is what it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All reasons.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The reason as written in conditions and Events.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }

            /// How an object with this reason stands.
            pub fn standing(self) -> Standing {
                match self {
                    $(Self::$name => Standing::$standing,)+
                }
            }
        }
    };
}

reasons! {
    /// The backend equals the spec.
    Synced: Ready,
    /// On the way.
    Progressing: Reconciling,
    /// The parent has no row yet.
    WaitingForParent: Reconciling,
    /// A named member does not exist yet.
    WaitingForMember: Reconciling,
    /// The backend does not answer, asks to slow down, or its reply was lost.
    BackendUnreachable: Reconciling,
    /// The backend refuses this, whoever asks again.
    BackendRejected: Stalled,
    /// The spec asks for something that cannot be.
    Invalid: Stalled,
    /// The backend cannot do what the spec asks for.
    Unsupported: Stalled,
    /// The backend refuses the controller's credentials.
    CredentialsInvalid: Stalled,
    /// The backend does not serve this namespace.
    NamespaceNotAllowed: Stalled,
    /// The plan does not exist.
    PlanNotFound: Stalled,
    /// The `AccountBackend` does not exist.
    BackendNotFound: Stalled,
    /// No seat is free.
    SeatLimitExceeded: Stalled,
    /// No place for an organization is free.
    OrganizationLimitExceeded: Stalled,
    /// No place for a widget is free.
    WidgetLimitExceeded: Stalled,
    /// Another operator of the organization has the e-mail.
    EmailTaken: Stalled,
    /// Something of that name belongs to somebody else.
    NameTaken: Stalled,
    /// Another store answers than the one known.
    BackendReplaced: Stalled,
    /// The object was let go.
    Released: Stalled,
    /// A newer controller has taken over.
    Fenced: Stalled,
    /// A deletion waits for its confirmation.
    ConfirmationRequired: Stalled,
    /// The last seat holder of an organization can neither go nor be suspended.
    LastOperator: Stalled,
    /// Still named by others.
    InUse: Stalled,
    /// Being erased.
    Erasing: Reconciling,
}

/// A condition to be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Such as [`READY`].
    pub type_: &'static str,
    /// True or False.
    pub status: bool,
    /// One CamelCase word.
    pub reason: &'static str,
    /// What it means and what to do, for people.
    pub message: String,
}

/// The conditions that say `reason`: `Ready`, and `Reconciling` or `Stalled` where it is not ready.
pub fn readiness(reason: Reason, message: &str) -> Vec<Wanted> {
    let standing = reason.standing();
    let condition = |type_, status| Wanted { type_, status, reason: reason.as_str(), message: message.to_owned() };
    let mut wanted = vec![condition(READY, standing == Standing::Ready)];
    match standing {
        Standing::Ready => {}
        Standing::Reconciling => wanted.push(condition(RECONCILING, true)),
        Standing::Stalled => wanted.push(condition(STALLED, true)),
    }
    wanted
}

/// Brings `current` to `wanted`: types that are not wanted go, a transition time changes only with the status.
pub fn set_conditions(current: &[Condition], wanted: Vec<Wanted>, generation: i64, now: Timestamp) -> Vec<Condition> {
    wanted
        .into_iter()
        .map(|Wanted { type_, status, reason, message }| {
            let status = if status { "True" } else { "False" };
            let since = current.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message: cut(&message),
                observed_generation: Some(generation),
                last_transition_time: since.map_or_else(|| Time(now), |condition| condition.last_transition_time.clone()),
            }
        })
        .collect()
}

/// The condition of that type.
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// Says the same in other words: nothing but the message changes.
pub fn reword(condition: &mut Condition, message: &str) {
    condition.message = cut(message);
}

fn cut(message: &str) -> String {
    if message.chars().count() <= MAX_MESSAGE { message.to_owned() } else { message.chars().take(MAX_MESSAGE - 1).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn ready_comes_alone_and_never_with_both_others() {
        for &reason in Reason::ALL {
            let types: Vec<_> = readiness(reason, "m").into_iter().map(|wanted| wanted.type_).collect();
            let expected: &[&str] = match reason.standing() {
                Standing::Ready => &[READY],
                Standing::Reconciling => &[READY, RECONCILING],
                Standing::Stalled => &[READY, STALLED],
            };
            assert_eq!(types, expected, "{reason:?}");
        }
    }

    #[test]
    fn the_transition_time_changes_only_with_the_status() {
        let first = set_conditions(&[], readiness(Reason::Progressing, "a"), 1, at(1));
        let second = set_conditions(&first, readiness(Reason::SeatLimitExceeded, "b"), 2, at(2));
        let third = set_conditions(&second, readiness(Reason::Synced, "c"), 2, at(3));
        let since = |conditions: &[Condition]| find(conditions, READY).unwrap().last_transition_time.0.as_second();
        assert_eq!((since(&first), since(&second), since(&third)), (1, 1, 3));
        assert!(find(&third, STALLED).is_none());
    }

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        let conditions = set_conditions(&[], readiness(Reason::Invalid, &"ä".repeat(2000)), 1, at(1));
        assert_eq!(conditions[0].message.chars().count(), MAX_MESSAGE);
    }
}
