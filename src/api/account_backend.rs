//! `AccountBackend`: where accounts live and how to reach it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Where accounts live and how the controller reaches it. Written by cluster admins only.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "AccountBackend",
    shortname = "ab",
    category = "deskplane",
    status = "AccountBackendStatus",
    doc = "Where accounts live and how the controller reaches it."
)]
#[serde(rename_all = "camelCase")]
pub struct AccountBackendSpec {
    /// Which controller serves this backend. A controller of another name writes nothing to it.
    #[serde(default = "default_controller_name")]
    pub controller_name: String,
    /// The store inside the controller (its `--database`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedProvider>,
    /// Where people log in and widgets load from.
    #[serde(rename = "publicURL", default, skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Namespaces whose Accounts may use this backend. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<LabelSelector>,
    /// How often the backend is compared with the objects at the latest, such as `10m`.
    #[serde(default = "default_resync_interval")]
    pub resync_interval: String,
}

/// The embedded provider has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct EmbeddedProvider {}

fn default_controller_name() -> String {
    super::names::DEFAULT_CONTROLLER_NAME.to_owned()
}

fn default_resync_interval() -> String {
    "10m".to_owned()
}

/// What the controller last saw of an `AccountBackend`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountBackendStatus {
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the store this backend stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// Highest epoch of this controller's owner id known to have written to the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// What the backend can do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<String>,
    /// Version of the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Ready, Reconciling, Stalled, Paused.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
