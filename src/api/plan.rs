//! `Plan`: what a subscription allows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;

/// What a subscription allows.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Plan",
    shortname = "cplan",
    category = "deskplane",
    printcolumn(name = "Seats", type_ = "integer", json_path = ".spec.limits.seats"),
    printcolumn(name = "Organizations", type_ = "integer", json_path = ".spec.limits.organizations"),
    printcolumn(name = "Widgets", type_ = "integer", json_path = ".spec.limits.widgets"),
    printcolumn(name = "Accounts", type_ = "integer", json_path = ".status.accounts"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Name shown", type_ = "string", json_path = ".spec.displayName", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    status = "PlanStatus",
    doc = "What a subscription allows."
)]
#[serde(rename_all = "camelCase")]
pub struct PlanSpec {
    /// Name of the plan, as people see it. Absent: the name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
    pub display_name: Option<String>,
    /// How much an account under this plan may use, over all its organizations. Departments are never limited. Lowering a limit below
    /// what is in use takes nothing away: the account shows `WithinPlan=False`, and nothing new is let in.
    pub limits: PlanLimits,
}

/// How much an account may use. Departments are never limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanLimits {
    /// Seats: how many operators that are not suspended the account may have, over all its organizations. Every organization holds at
    /// least one.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub seats: i64,
    /// How many organizations the account may have, the default one included. Absent: unlimited (each still needs a seat).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub organizations: Option<i64>,
    /// How many widgets the account may have, over all its organizations. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1_000_000))]
    pub widgets: Option<i64>,
}

/// What the controller last saw of a `Plan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// How many `Account` objects name this plan. It cannot go while any does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<i64>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
