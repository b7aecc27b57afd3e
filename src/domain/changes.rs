//! What was done to rows: entries of the audit log, and of the feed of changes. Keys and ids, never an e-mail, never a name of a person.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rows::{Key, RowKind};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// A row was made.
    Create,
    /// A row was changed.
    Update,
    /// A row was erased by itself.
    Delete,
    /// A seat was handed over: its holder was erased or suspended.
    HandOver,
    /// The last seat holder of an organization wants to leave.
    Leave,
    /// The row's object vanished.
    Quarantine,
    /// The row was left behind in a parent without an object.
    Detach,
    /// An organization or account is being erased.
    BeginErasing,
    /// A row was erased with its organization or account, or by a person.
    Erase,
    /// A row was let go, with all in it.
    Release,
}

impl Action {
    const ALL: [Self; 10] = [
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::HandOver,
        Self::Leave,
        Self::Quarantine,
        Self::Detach,
        Self::BeginErasing,
        Self::Erase,
        Self::Release,
    ];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::HandOver => "hand-over",
            Self::Leave => "leave",
            Self::Quarantine => "quarantine",
            Self::Detach => "detach",
            Self::BeginErasing => "begin-erasing",
            Self::Erase => "erase",
            Self::Release => "release",
        }
    }

    /// The action of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// Where a reader of the feed of changes is: opaque.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct ChangeCursor(pub String);

/// A change of a row. What follows from it is not said again: who can be reached in an organization, and who is left in a department
/// when an operator goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Where the feed goes on after it.
    pub cursor: ChangeCursor,
    /// When, in RFC 3339.
    pub at: String,
    /// The owner id in whose name.
    pub owner: String,
    /// In which epoch of it; 0: by a person.
    pub epoch: i64,
    /// What was done.
    pub action: Action,
    /// The kind of the row.
    pub kind: RowKind,
    /// The row's key, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    /// The row's id.
    pub external_id: String,
    /// Id of its account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Id of its organization: none for accounts, and unknown for what an older version wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// Seats the account held afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats_held: Option<i64>,
    /// Seats its plan allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats_limit: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_one_name() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
        assert_eq!(Action::parse("something"), None);
    }
}
