//! `Operator`: a human chat operator of one organization.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{NameRef, rules};

/// A human chat operator of one organization. Takes a seat.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Operator",
    shortname = "oper",
    category = "deskplane",
    printcolumn(name = "Organization", type_ = "string", json_path = ".spec.organizationRef.name"),
    printcolumn(name = "Role", type_ = "string", json_path = ".spec.role"),
    printcolumn(name = "Seat", type_ = "string", json_path = ".status.seat"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Email", type_ = "string", json_path = ".spec.email", priority = 1),
    printcolumn(name = "Queue", type_ = "integer", json_path = ".status.queuePosition", priority = 1),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.credentialsSecretName", priority = 1),
    printcolumn(name = "External Id", type_ = "string", json_path = ".status.externalId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.organizationRef.name",
    namespaced,
    status = "OperatorStatus",
    doc = "A human chat operator of one organization. Takes a seat."
)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSpec {
    /// The `Organization` the operator belongs to, in the same namespace. Cannot be changed: an operator never moves.
    #[x_kube(validation = rules::immutable("organizationRef"))]
    pub organization_ref: NameRef,
    /// E-mail address, such as `tom@acme.example`. Unique in the organization, whatever its case. May be changed.
    #[schemars(length(max = 254))]
    #[x_kube(validation = rules::email())]
    pub email: String,
    /// Name of the person, as colleagues see it. Absent: the e-mail address is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
    pub display_name: Option<String>,
    /// Name that visitors of a chat see. Absent: `displayName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("nickname"), validation = rules::trimmed("nickname"))]
    pub nickname: Option<String>,
    /// What the operator may do: `Manager` (the default; may create operators of the organization), `Supervisor` or `Agent`.
    #[serde(default)]
    pub role: Role,
    /// True frees the seat and keeps the person and the history; false again waits for a free seat. The last operator of an
    /// organization cannot be suspended.
    #[serde(default)]
    pub suspended: bool,
    /// True lets the operator enter every organization of the account, as the account's owner may; otherwise an operator enters only the
    /// organizations it belongs to. Setting it, and changing the `email` of an operator who has it, needs the verb `promote` on the operator.
    #[serde(default)]
    pub switch_organizations: bool,
    /// Place in lists: lower comes first, and the same by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub position: Option<i32>,
    /// How the operator gets the credentials of the first login.
    #[serde(default)]
    pub credentials: Credentials,
}

/// What an operator may do in the organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, ToSchema)]
pub enum Role {
    /// May create operators of the organization.
    #[default]
    Manager,
    /// Oversees chats.
    Supervisor,
    /// Answers chats.
    Agent,
}

/// How an operator gets credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::fixed_presence("secretName"))]
pub struct Credentials {
    /// `Generate` (the default): a random password is made and put in a Secret of type `deskplane.dev/credentials`, with `username` (the
    /// e-mail of that day), `password` and `loginURL`. The Secret is written once. `None`: none is made.
    #[serde(default)]
    pub mode: CredentialsMode,
    /// Name of the Secret they are put in. Absent: `<operator>-credentials`. A Secret of that name that was not made for this operator
    /// is left alone. Can be neither changed, added nor removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_name(), validation = rules::immutable("secretName"))]
    pub secret_name: Option<String>,
}

/// Whether the controller makes credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CredentialsMode {
    /// Make a random password and put it in a Secret.
    #[default]
    Generate,
    /// Make none.
    None,
}

/// Whether an operator holds a seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Seat {
    /// Holds one.
    Held,
    /// Waits for one.
    Waiting,
    /// Needs none: suspended.
    NotNeeded,
}

/// What the controller last saw of an `Operator`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperatorStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the operator in the backend, for people: the controller itself finds it by this object's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub external_id: Option<String>,
    /// Id of the store that holds it. A store of another id or an older copy is never taken for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub store_id: Option<String>,
    /// Whether the operator holds a seat: `Held`, `Waiting` (in the queue) or `NotNeeded` (suspended).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<Seat>,
    /// Place in the queue for a seat: 1 is next. Shown up to 10, absent beyond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<i64>,
    /// Name of the Secret with the credentials that were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub credentials_secret_name: Option<String>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
