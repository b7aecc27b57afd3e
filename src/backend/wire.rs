//! What an account server and its clients say to each other: paths, headers and bodies. Rows are [`crate::domain::rows`] as JSON.
//!
//! ```text
//! who asks for what                          whose turn it is to write          what is written
//! Authorization: Bearer <token>    +    Deskplane-Owner, -Epoch, -Store    +    PUT /v1/operators/<key>
//! ```
//!
//! Keys name objects (their UIDs). What is asked of a row of whatever kind stands under `/v1/keys/<key>`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::changes::{Change, ChangeCursor};
use crate::domain::json::{object, optional_object};
use crate::domain::rows::{
    DesiredAccount, DesiredDepartment, DesiredOperator, DesiredOrganization, DesiredWidget, Key, OwnerTag, Row, RowKind, TicketView,
};
use crate::domain::switching::Enterable;
use crate::domain::transcript::StoredTranscript;

use super::{CredentialIntent, OperatorPut};

/// The owner id in whose name is written.
pub const OWNER: &str = "deskplane-owner";

/// The epoch in which is written; an older one than the owner's last is `Fenced`.
pub const EPOCH: &str = "deskplane-epoch";

/// The id of the store that is meant; another one is `WrongStore`.
pub const STORE: &str = "deskplane-store";

/// The media type of an error.
pub const PROBLEM: &str = "application/problem+json";

/// The media type of a stream of JSON values, one a line.
pub const NDJSON: &str = "application/x-ndjson";

/// The path of a kind's rows.
pub fn collection(kind: RowKind) -> &'static str {
    match kind {
        RowKind::Account => "/v1/accounts",
        RowKind::Organization => "/v1/organizations",
        RowKind::Operator => "/v1/operators",
        RowKind::Department => "/v1/departments",
        RowKind::Widget => "/v1/widgets",
    }
}

/// The object that a row is kept for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectRef {
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
}

impl ObjectRef {
    /// The object of a tag.
    pub fn of(tag: &OwnerTag) -> Self {
        Self { namespace: tag.namespace.clone(), name: tag.name.clone() }
    }

    /// The tag of an object's row.
    pub fn tag(self, kind: RowKind, key: Key) -> OwnerTag {
        OwnerTag { kind, namespace: self.namespace, name: self.name, key }
    }
}

/// `PUT /v1/accounts/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutAccount {
    /// Whose row it is.
    #[serde(deserialize_with = "object")]
    pub object: ObjectRef,
    /// What it should be.
    #[serde(deserialize_with = "object")]
    pub desired: DesiredAccount,
}

/// `PUT /v1/organizations/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutOrganization {
    /// Whose row it is.
    #[serde(deserialize_with = "object")]
    pub object: ObjectRef,
    /// Key of its account.
    pub account: Key,
    /// What it should be.
    #[serde(deserialize_with = "object")]
    pub desired: DesiredOrganization,
    /// Required until the organization has a row: both are written together (rule 4). Ignored later.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    pub first_operator: Option<FirstOperator>,
}

/// The first operator of a new organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FirstOperator {
    /// Key of the operator.
    pub key: Key,
    /// Whose row it is.
    #[serde(deserialize_with = "object")]
    pub object: ObjectRef,
    /// What it should be.
    #[serde(deserialize_with = "object")]
    pub desired: DesiredOperator,
    /// A password on its way into a Secret.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialIntent>,
}

impl From<OperatorPut<'_>> for FirstOperator {
    fn from(put: OperatorPut<'_>) -> Self {
        let OperatorPut { tag, desired, intent } = put;
        Self { key: tag.key.clone(), object: ObjectRef::of(tag), desired: desired.clone(), credentials: intent.cloned() }
    }
}

/// `PUT /v1/operators/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutOperator {
    /// Whose row it is.
    #[serde(deserialize_with = "object")]
    pub object: ObjectRef,
    /// Key of its organization.
    pub organization: Key,
    /// What it should be.
    #[serde(deserialize_with = "object")]
    pub desired: DesiredOperator,
    /// A password on its way into a Secret.
    #[serde(default, deserialize_with = "optional_object", skip_serializing_if = "Option::is_none")]
    pub credentials: Option<CredentialIntent>,
}

/// `PUT /v1/departments/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutDepartment {
    /// Whose row it is.
    #[serde(deserialize_with = "object")]
    pub object: ObjectRef,
    /// Key of its organization.
    pub organization: Key,
    /// What it should be.
    #[serde(deserialize_with = "object")]
    pub desired: DesiredDepartment,
}

/// `PUT /v1/widgets/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutWidget {
    /// Whose row it is.
    #[serde(deserialize_with = "object")]
    pub object: ObjectRef,
    /// Key of its organization.
    pub organization: Key,
    /// What it should be.
    #[serde(deserialize_with = "object")]
    pub desired: DesiredWidget,
}

/// The answer to `PUT /v1/organizations/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationWritten {
    /// The organization's row.
    pub organization: Row,
    /// The first operator's row, when it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_operator: Option<Row>,
}

/// `POST /v1/epochs`: takes the next epoch of an owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TakeEpoch {
    /// The owner id.
    pub owner: String,
}

/// `PUT /v1/keys/<key>/ticket`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PutTicket {
    /// A paused ticket keeps its number and is skipped.
    pub paused: bool,
}

/// A page of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rows {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A page of an account's rows and tickets: `GET /v1/accounts/<key>/rows`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountRows {
    /// Rows: the account's own first, then organizations, operators, departments, widgets.
    pub rows: Vec<Row>,
    /// Tickets of the account, after all rows.
    pub tickets: Vec<Ticket>,
    /// Where the next page begins; absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A ticket, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    /// Whose ticket it is.
    pub tag: OwnerTag,
    /// The ticket.
    pub ticket: TicketView,
}

/// What happened after a place in the feed of changes: `GET /v1/changes`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Where the feed goes on.
    pub next: ChangeCursor,
}

/// A page of an organization's transcripts: `GET /v1/organizations/<id>/transcripts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transcripts {
    /// The transcripts, in the order in which they were stored.
    pub transcripts: Vec<StoredTranscript>,
    /// Where the next page begins; absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer to `POST /v1/organizations/<id>/transcripts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TranscriptsStored {
    /// How many were stored.
    pub stored: u64,
}

/// The organizations of an account that a person may enter: `GET /v1/accounts/<id>/switchable-organizations`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwitchableOrganizations {
    /// The organizations, in the order in which they were made.
    pub organizations: Vec<Enterable>,
}

/// A page of an account's audit log: `GET /v1/audit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntries {
    /// What was done, in order.
    pub entries: Vec<Change>,
    /// Where the next page begins; absent: this was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
