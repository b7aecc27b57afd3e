//! `Account`: one customer account on one backend, under one plan.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::NameRef;
use super::organization::{FirstOperator, Location, StarterKit};

/// One customer account on one backend, under one plan: one subscription, one bill.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Account",
    shortname = "acct",
    category = "deskplane",
    namespaced,
    status = "AccountStatus",
    doc = "One customer account on one backend, under one plan: one subscription, one bill."
)]
#[serde(rename_all = "camelCase")]
pub struct AccountSpec {
    /// The backend the account lives on. Immutable.
    pub backend_ref: NameRef,
    /// The plan the account is under. May change.
    pub plan_ref: NameRef,
    /// Who owns the account.
    pub owner: Person,
    /// The default organization's spec without `accountRef`. Read once, when the Organization is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_organization: Option<DefaultOrganization>,
    /// Whether erasing the account or an organization of it needs a confirmation.
    #[serde(default = "protected")]
    pub deletion_protection: bool,
}

fn protected() -> bool {
    true
}

/// A person by e-mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// E-mail address.
    pub email: String,
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
}

/// The default organization's spec without `accountRef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultOrganization {
    /// Name people see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Language of the organization, BCP 47.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Where the organization is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The first operator, inline. Absent: the account's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_operator: Option<FirstOperator>,
    /// The first operator, by the name of an Operator object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_operator_ref: Option<NameRef>,
    /// Whether a first department and widget are made.
    #[serde(default)]
    pub starter_kit: StarterKit,
}

/// What the controller last saw of an `Account`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// The generation this status speaks of.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the account's row in the backend, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Id of the store that holds the row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
    /// What the account uses, trailing by seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Seats of the account, trailing by seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatUsage>,
    /// Seats as `held/limit`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seat_summary: Option<String>,
    /// Ready, Reconciling, Stalled, Paused, `WithinPlan`.
    #[serde(default)]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

/// Rows in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Organizations, the default one included.
    pub organizations: i64,
    /// Operators, suspended ones included.
    pub operators: i64,
    /// Departments.
    pub departments: i64,
    /// Widgets.
    pub widgets: i64,
}

/// Seats in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeatUsage {
    /// Seats the plan allows, over all organizations of the account.
    pub limit: i64,
    /// Seats held here.
    pub held: i64,
    /// Objects here that wait for a seat.
    pub waiting: i64,
    /// Operators here that were made in the backend by others. They hold seats too, unless suspended.
    pub unmanaged: i64,
}
