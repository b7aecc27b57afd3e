//! `Organization`: a separate unit of an account.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::NameRef;
use super::account::{SeatUsage, Usage};

/// A separate unit of an account: own settings, operators, departments, widgets, transcripts.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Organization",
    shortname = "org",
    category = "deskplane",
    namespaced,
    status = "OrganizationStatus",
    doc = "A separate unit of an account: own settings, operators, departments, widgets, transcripts."
)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationSpec {
    /// The account the organization belongs to. Immutable.
    pub account_ref: NameRef,
    /// Name people see. Absent: the organization's generated unique id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Language of the organization, BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where the organization is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The first operator, inline: an Operator object `<organization>-first-operator` is made. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_operator: Option<FirstOperator>,
    /// The first operator, by the name of an Operator object. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_operator_ref: Option<NameRef>,
    /// Whether a first department and widget are made.
    #[serde(default)]
    pub starter_kit: StarterKit,
}

/// Where an organization is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Country, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Time zone, an IANA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// The person who becomes an organization's first operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirstOperator {
    /// E-mail address.
    pub email: String,
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// Whether a first department and widget are made with an organization.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StarterKit {
    /// Make them.
    #[default]
    Create,
    /// Make nothing.
    None,
}

/// What the controller last saw of an `Organization`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationStatus {
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the organization's row in the backend, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Id of the store that holds the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// The name in use: the spec's, or the generated unique id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The account's `deletionProtection`. Absent counts as protected.
    #[serde(rename = "protected", skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// What is left to erase, while the organization is being erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erasure: Option<Erasure>,
    /// What the organization uses, trailing by seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Seats held by the organization, trailing by seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatUsage>,
    /// Seats as `held/limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_summary: Option<String>,
    /// Ready, Reconciling, Stalled, Paused.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Progress of an erasure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Rows left to erase.
    pub remaining: i64,
}
