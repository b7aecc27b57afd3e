//! `Widget`: a chat button of one organization.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NameRef;

/// A chat button of one organization.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Widget",
    shortname = "wdgt",
    category = "deskplane",
    namespaced,
    status = "WidgetStatus",
    doc = "A chat button of one organization."
)]
#[serde(rename_all = "camelCase")]
pub struct WidgetSpec {
    /// The organization the widget belongs to. Immutable.
    pub organization_ref: NameRef,
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Language of the widget, BCP 47. Absent: the organization's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Origins of the pages that may load the widget, such as `https://www.acme.example`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<String>,
    /// What a visitor is asked before the chat.
    #[serde(default)]
    pub start_form: StartForm,
    /// How the widget looks.
    #[serde(default)]
    pub theme: Theme,
}

/// What a visitor is asked before the chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartForm {
    /// Offers the departments that can be reached now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_department: Option<bool>,
    /// Offers the operators that can be reached now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_operator: Option<bool>,
}

/// How a widget looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Theme {
    /// Colour as `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<String>,
}

/// Whether visitors can reach anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Availability {
    /// Some department has an operator who holds a seat.
    Online,
    /// No department has one.
    AlwaysOffline,
}

/// What the controller last saw of a `Widget`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WidgetStatus {
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the widget's row in the backend, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Id of the store that holds the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// Whether visitors can reach anybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// Key that names the widget in public.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// What to paste into a page to show the widget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embed_snippet: Option<String>,
    /// Ready, Reconciling, Stalled, Paused, Available.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
