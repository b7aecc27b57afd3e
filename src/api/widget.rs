//! `Widget`: a chat button of one organization.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{NameRef, rules};

/// A chat button of one organization.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Widget",
    shortname = "wdgt",
    category = "deskplane",
    printcolumn(name = "Organization", type_ = "string", json_path = ".spec.organizationRef.name"),
    printcolumn(name = "Availability", type_ = "string", json_path = ".status.availability"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Visitors", type_ = "string", json_path = ".status.conditions[?(@.type=='Available')].message", priority = 1),
    printcolumn(name = "Public key", type_ = "string", json_path = ".status.publicKey", priority = 1),
    printcolumn(name = "External Id", type_ = "string", json_path = ".status.externalId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.organizationRef.name",
    namespaced,
    status = "WidgetStatus",
    doc = "A chat button of one organization."
)]
#[serde(rename_all = "camelCase")]
pub struct WidgetSpec {
    /// The `Organization` the widget belongs to, in the same namespace. Cannot be changed.
    #[x_kube(validation = rules::immutable("organizationRef"))]
    pub organization_ref: NameRef,
    /// Name of the widget, as people see it. Absent: the name of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
    pub display_name: Option<String>,
    /// Language of the widget as a BCP 47 tag, such as `en`, `de` or `pt-BR`. Absent: the organization's.
    /// Put `"no"` in quotes: YAML reads a bare `no` as false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::language())]
    pub language: Option<String>,
    /// Origins of the pages that may load the widget, as browsers send them: scheme, host and perhaps port, such as
    /// `https://www.acme.example` or `http://localhost:8080`. No path and no wildcard. Absent: pages of any origin.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 300)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set, validation = rules::origins())]
    pub allowed_origins: Vec<String>,
    /// What a visitor may choose before the chat.
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
    /// True: the visitor may choose among the departments that can be reached now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_department: Option<bool>,
    /// True: the visitor may choose among the operators that can be reached now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub select_operator: Option<bool>,
}

/// How a widget looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Theme {
    /// Colour of the chat button as `"#rrggbb"` in hexadecimal, such as `"#0b7285"`. In quotes: YAML reads a bare `#` as a comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::color())]
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
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the widget in the backend, for people: the controller itself finds it by this object's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub external_id: Option<String>,
    /// Id of the store that holds it. A store of another id or an older copy is never taken for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub store_id: Option<String>,
    /// `Online`: some department has an operator who holds a seat. `AlwaysOffline`: none has, and the condition `Available` says what to
    /// do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    /// Key that names the widget in public.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub public_key: Option<String>,
    /// What to paste into a page to show the widget.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub embed_snippet: Option<String>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused` and `Available`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}
