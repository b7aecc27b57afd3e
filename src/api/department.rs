//! `Department`: a group of operators of one organization.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::NameRef;

/// A group of operators of one organization.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Department",
    shortname = "dept",
    category = "deskplane",
    namespaced,
    status = "DepartmentStatus",
    doc = "A group of operators of one organization."
)]
#[serde(rename_all = "camelCase")]
pub struct DepartmentSpec {
    /// The organization the department belongs to. Immutable.
    pub organization_ref: NameRef,
    /// Name people see.
    pub display_name: String,
    /// Order in lists, then by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// Who belongs to the department: the union of both lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
}

/// Who belongs to a department: the union of the named and the selected operators of its organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// Operators by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<NameRef>,
    /// Operators by label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// What the controller last saw of a `Department`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepartmentStatus {
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the department's row in the backend, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Id of the store that holds the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// How many members the department has in the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// Ready, Reconciling, Stalled, Paused.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
