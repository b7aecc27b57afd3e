//! `Plan`: what a subscription allows.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// What a subscription allows.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Plan",
    shortname = "cplan",
    category = "deskplane",
    status = "PlanStatus",
    doc = "What a subscription allows."
)]
#[serde(rename_all = "camelCase")]
pub struct PlanSpec {
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// How much an account under this plan may use.
    pub limits: PlanLimits,
}

/// How much an account may use. Departments are never limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanLimits {
    /// Operators over all organizations that are not suspended.
    pub seats: i64,
    /// Organizations, the default one included. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organizations: Option<i64>,
    /// Widgets over all organizations. Absent: unlimited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widgets: Option<i64>,
}

/// What the controller last saw of a `Plan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlanStatus {
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Account objects that name this plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<i64>,
    /// Ready, Reconciling, Stalled, Paused.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
