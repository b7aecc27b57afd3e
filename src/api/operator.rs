//! `Operator`: a human chat operator of one organization.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NameRef;

/// A human chat operator of one organization. Takes a seat.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Operator",
    shortname = "oper",
    category = "deskplane",
    namespaced,
    status = "OperatorStatus",
    doc = "A human chat operator of one organization. Takes a seat."
)]
#[serde(rename_all = "camelCase")]
pub struct OperatorSpec {
    /// The organization the operator belongs to. Immutable.
    pub organization_ref: NameRef,
    /// E-mail address, unique in the organization whatever its case. May change.
    pub email: String,
    /// Name colleagues see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Name visitors see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// What the operator may do.
    #[serde(default)]
    pub role: Role,
    /// True frees the seat and keeps the person and the history.
    #[serde(default)]
    pub suspended: bool,
    /// Order in lists, then by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// How the operator gets credentials.
    #[serde(default)]
    pub credentials: Credentials,
}

/// What an operator may do in the organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
pub struct Credentials {
    /// Whether the controller makes them.
    #[serde(default)]
    pub mode: CredentialsMode,
    /// Name of the Secret they are put in. Absent: `<operator>-credentials`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the operator's row in the backend, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Id of the store that holds the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// Whether the operator holds a seat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat: Option<Seat>,
    /// Place in the queue for a seat, up to 10; absent beyond.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_position: Option<i64>,
    /// Name of the Secret with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_secret_name: Option<String>,
    /// Ready, Reconciling, Stalled, Paused.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
