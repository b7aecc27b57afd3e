//! Rows of the account store: what is desired, what is observed, and how both are named.
//!
//! A field that is `None` in a desired row is absent from the spec: it is neither compared nor changed.
//!
//! These types are also what an account server and its clients exchange, as JSON: a change here is a change of that interface.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::operator::Role;

use super::json::object;
use super::seats::{Limits, Place};

/// The key of a row: the UID of its object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Key(pub String);

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Key {
    fn from(uid: &str) -> Self {
        Self(uid.to_owned())
    }
}

/// The kinds that have rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum RowKind {
    /// An account.
    Account,
    /// An organization.
    Organization,
    /// An operator.
    Operator,
    /// A department.
    Department,
    /// A widget.
    Widget,
}

impl RowKind {
    /// The kind's name, as in `kind:` of its objects.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Organization => "Organization",
            Self::Operator => "Operator",
            Self::Department => "Department",
            Self::Widget => "Widget",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Account, Self::Organization, Self::Operator, Self::Department, Self::Widget].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Whose row it is (rule 17): the object, by kind, namespace, name and UID. The owner id travels in the session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OwnerTag {
    /// Kind of the object.
    pub kind: RowKind,
    /// Namespace of the object.
    pub namespace: String,
    /// Name of the object.
    pub name: String,
    /// UID of the object: the row's key and incarnation.
    pub key: Key,
}

/// An account as its object wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredAccount {
    /// The owner's e-mail.
    pub owner_email: String,
    /// The owner's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_display_name: Option<String>,
    /// The plan's limits, copied into the row (rule 4).
    #[serde(deserialize_with = "object")]
    pub limits: Limits,
}

/// An organization as its object wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredOrganization {
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What is done with transcripts.
    #[serde(default, deserialize_with = "object", skip_serializing_if = "Privacy::is_unsaid")]
    pub privacy: Privacy,
}

/// What an organization wants done with transcripts; its rules are in [`super::transcript`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Privacy {
    /// Whether they are stored; never said: they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_transcripts: Option<bool>,
    /// For how many days they are kept; never said: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention_days: Option<i32>,
    /// Whether visitors' names, e-mails and IP addresses are left out; never said: they are not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymize_visitors: Option<bool>,
}

impl Privacy {
    /// Whether nothing was ever said.
    pub fn is_unsaid(&self) -> bool {
        *self == Self::default()
    }
}

/// An operator as its object wants it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredOperator {
    /// As written; folded for comparison by [`super::text::fold_email`].
    pub email: String,
    /// Name colleagues see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name visitors see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// What the operator may do.
    pub role: Role,
    /// A suspended operator holds no seat.
    pub suspended: bool,
    /// Order in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// May enter every organization of the account (rule 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch_organizations: Option<bool>,
}

/// A department as its object wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredDepartment {
    /// Name people see.
    pub display_name: String,
    /// Order in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// Keys of the members; `None` when the spec has no `members`. Members without a row are left out by the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<BTreeSet<Key>>,
}

/// A widget as its object wants it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DesiredWidget {
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Origins that may load the widget; an empty spec list is an empty list here.
    pub allowed_origins: Vec<String>,
    /// Whether visitors choose a department.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_department: Option<bool>,
    /// Whether visitors choose an operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_operator: Option<bool>,
    /// `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// A row as the backend has it: its id there, whose it is, and its fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Id in the backend, opaque, for people: `status.externalId`.
    pub external_id: String,
    /// Whose row it is; `None`: made by others, unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<OwnerTag>,
    /// Its object vanished without cleanup (rule 18).
    pub quarantined: bool,
    /// The fields of its kind.
    #[serde(flatten)]
    pub fields: Fields,
}

/// The fields of a row, by kind. `Desired…` types serve for observed values too: there `None` is "not set".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind")]
pub enum Fields {
    /// An account.
    Account(AccountFields),
    /// An organization.
    Organization(OrganizationFields),
    /// An operator.
    Operator(OperatorFields),
    /// A department.
    Department(DepartmentFields),
    /// A widget.
    Widget(WidgetFields),
}

impl Fields {
    /// The kind of the row.
    pub fn kind(&self) -> RowKind {
        match self {
            Self::Account(_) => RowKind::Account,
            Self::Organization(_) => RowKind::Organization,
            Self::Operator(_) => RowKind::Operator,
            Self::Department(_) => RowKind::Department,
            Self::Widget(_) => RowKind::Widget,
        }
    }

    /// Key of the organization that an operator, department or widget belongs to.
    pub fn organization(&self) -> Option<&Key> {
        match self {
            Self::Account(_) | Self::Organization(_) => None,
            Self::Operator(fields) => fields.organization.as_ref(),
            Self::Department(fields) => fields.organization.as_ref(),
            Self::Widget(fields) => fields.organization.as_ref(),
        }
    }
}

/// An account's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountFields {
    /// Values set.
    pub values: DesiredAccount,
}

/// An organization's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationFields {
    /// Key of its account, unless the account's row is unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Key>,
    /// Values set.
    pub values: DesiredOrganization,
    /// The starter kit has been made (rule 6): it is never made again.
    pub starter_made: bool,
    /// The organization is being erased.
    pub erasing: bool,
    /// Who can be reached in it (rule 9).
    pub reach: Reach,
}

/// An operator's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorFields {
    /// Key of its organization, unless that row is unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Key>,
    /// Values set.
    pub values: DesiredOperator,
    /// Where its credentials are.
    pub credentials: CredentialState,
    /// It wants to go, or to be suspended, and is the last of its organization (rule 7).
    pub leaving: bool,
}

/// A department's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepartmentFields {
    /// Key of its organization, unless that row is unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Key>,
    /// Values set; `members` is always `Some`.
    pub values: DesiredDepartment,
}

/// A widget's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WidgetFields {
    /// Key of its organization, unless that row is unmanaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Key>,
    /// Values set.
    pub values: DesiredWidget,
    /// Key that names the widget in public.
    pub public_key: String,
}

/// Who can be reached in an organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reach {
    /// How many departments there are (not quarantined).
    pub departments: i64,
    /// Some department has a member who holds a seat.
    pub assigned: bool,
}

/// Where an operator's credentials are on their way (rule 10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum CredentialState {
    /// None asked for.
    #[default]
    Absent,
    /// An intent is recorded; the Secret may or may not exist.
    Intended,
    /// The Secret exists and its hash is committed.
    Active,
}

/// A ticket in an account's queue (rule 2), as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TicketView {
    /// The first place that is missing; for a reserved ticket, the place it waited for.
    pub missing: Place,
    /// Its place in line, up to 10; `None` beyond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i64>,
    /// Its places are reserved: asking again succeeds.
    pub reserved: bool,
    /// It was paused with its object: it keeps its number and is skipped.
    pub paused: bool,
}

/// What the backend knows of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "state", content = "value")]
pub enum Answer {
    /// It has a row.
    Present(Box<Row>),
    /// It has no row, but a ticket.
    Waiting(TicketView),
    /// It had a row, which was erased.
    Erased,
    /// It had a row, which was let go.
    Released,
    /// It never had a row, intent or ticket.
    Unknown,
}

/// What an account, or an organization, uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageCounts {
    /// Organizations.
    pub organizations: i64,
    /// Operators, suspended ones included.
    pub operators: i64,
    /// Departments.
    pub departments: i64,
    /// Widgets.
    pub widgets: i64,
    /// Transcripts.
    pub transcripts: i64,
    /// Seats held.
    pub seats_held: i64,
    /// Objects that wait for a seat.
    pub seats_waiting: i64,
    /// Operators made by others.
    pub unmanaged: i64,
}

/// The usage of an account: in all, and by organization.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountUsage {
    /// The account's limits.
    pub limits: Limits,
    /// In all.
    pub total: UsageCounts,
    /// By organization key; unmanaged organizations count in `total` only. `organizations` is 1 each.
    pub organizations: Vec<(Key, UsageCounts)>,
    /// Others changed rows: somebody waits for what is free now. Writing the account puts its queue right.
    pub unsettled: bool,
}
