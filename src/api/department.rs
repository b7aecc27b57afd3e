//! `Department`: a group of operators of one organization.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::{NameRef, rules};

/// A group of operators of one organization.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Department",
    shortname = "dept",
    category = "deskplane",
    printcolumn(name = "Organization", type_ = "string", json_path = ".spec.organizationRef.name"),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Name shown", type_ = "string", json_path = ".spec.displayName", priority = 1),
    printcolumn(name = "External Id", type_ = "string", json_path = ".status.externalId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.organizationRef.name",
    namespaced,
    status = "DepartmentStatus",
    doc = "A group of operators of one organization."
)]
#[serde(rename_all = "camelCase")]
pub struct DepartmentSpec {
    /// The `Organization` the department belongs to, in the same namespace. Cannot be changed.
    #[x_kube(validation = rules::immutable("organizationRef"))]
    pub organization_ref: NameRef,
    /// Name of the department, as people see it.
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
    pub display_name: String,
    /// Place in lists: lower comes first, and the same by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub position: Option<i32>,
    /// Who belongs to the department: the operators named in `operators` and those that `selector` matches, of the same organization
    /// only. Absent: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
}

/// Who belongs to a department: the union of the named and the selected operators of its organization.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Members {
    /// Operators by name. One that does not exist yet joins as soon as it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["name".into()]))]
    pub operators: Vec<NameRef>,
    /// Operators by their labels. An empty selector matches every operator of the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::selector_expressions("selector"), validation = rules::selector_values("selector"))]
    pub selector: Option<LabelSelector>,
}

/// What the controller last saw of a `Department`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DepartmentStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the department in the backend, for people: the controller itself finds it by this object's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub external_id: Option<String>,
    /// Id of the store that holds it. A store of another id or an older copy is never taken for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub store_id: Option<String>,
    /// How many members the department has in the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<i64>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
