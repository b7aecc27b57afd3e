//! `Organization`: a separate unit of an account.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{SeatUsage, Usage};
use super::{NameRef, rules};

/// A separate unit of an account: own settings, operators, departments, widgets, transcripts.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Organization",
    shortname = "org",
    category = "deskplane",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Seats", type_ = "string", json_path = ".status.seatSummary"),
    printcolumn(name = "Operators", type_ = "integer", json_path = ".status.usage.operators"),
    printcolumn(name = "Widgets", type_ = "integer", json_path = ".status.usage.widgets"),
    printcolumn(name = "Account", type_ = "string", json_path = ".spec.accountRef.name", priority = 1),
    printcolumn(name = "Name shown", type_ = "string", json_path = ".status.displayName", priority = 1),
    printcolumn(name = "External Id", type_ = "string", json_path = ".status.externalId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.accountRef.name",
    namespaced,
    status = "OrganizationStatus",
    doc = "A separate unit of an account: own settings, operators, departments, widgets, transcripts."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = rules::one_first_operator(),
    validation = rules::fixed_presence("firstOperator"),
    validation = rules::fixed_presence("firstOperatorRef")
)]
pub struct OrganizationSpec {
    /// The `Account` the organization belongs to, in the same namespace. Cannot be changed.
    #[x_kube(validation = rules::immutable("accountRef"))]
    pub account_ref: NameRef,
    /// Name of the organization, as people see it. Absent: the organization's generated unique id, shown in `status.displayName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
    pub display_name: Option<String>,
    /// Language of the organization as a BCP 47 tag, such as `en`, `de` or `pt-BR`. Put `"no"` in quotes: YAML reads a bare `no` as false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = rules::language())]
    pub language: Option<String>,
    /// Where the organization is: its country and time zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// What is done with the transcripts of chats: whether they are stored, for how long, and whether visitors stay anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Who becomes the first operator: an `Operator` object `<organization>-first-operator` with the role `Manager` is made for this
    /// person, unless one of that name or e-mail exists. Read until the organization exists in the backend. Cannot be changed.
    /// Exactly one of `firstOperator` and `firstOperatorRef` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::immutable("firstOperator"))]
    pub first_operator: Option<FirstOperator>,
    /// The first operator, as the name of an `Operator` object of this organization. Cannot be changed.
    /// Exactly one of `firstOperator` and `firstOperatorRef` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::immutable("firstOperatorRef"))]
    pub first_operator_ref: Option<NameRef>,
    /// `Create`: once, when the organization is made in the backend, a department "Customer Service" with the first operator
    /// (`<organization>-customer-service`) and a widget (`<organization>-widget`) are made too. They are ordinary objects: whoever
    /// edits or deletes them is not overruled. `None`: nothing is made.
    #[serde(default)]
    pub starter_kit: StarterKit,
}

/// Where an organization is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// Country as an ISO 3166-1 alpha-2 code in capitals, such as `DE`, `US` or `GB`. Put `"NO"` in quotes: YAML reads a bare `NO` as
    /// false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::country())]
    pub country: Option<String>,
    /// Time zone by its IANA name, such as `Europe/Berlin` or `UTC`. The controller checks that it exists; an unknown one shows as
    /// `Invalid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    #[x_kube(validation = rules::time_zone())]
    pub time_zone: Option<String>,
}

/// What is done with the transcripts of an organization's chats. A setting that is taken out again stays as it was: change its value
/// instead.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Privacy {
    /// Whether transcripts are stored. False refuses new ones; those that are there stay until they are too old, or erased. Never set:
    /// they are stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_transcripts: Option<bool>,
    /// For how many days transcripts are kept, from 1 to 3650: older ones are erased for good within minutes, also while the organization is
    /// paused, and without asking again. Never set: they are kept for ever. Once it was set, taking it out changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub transcript_retention_days: Option<i32>,
    /// True leaves out the visitor's name, e-mail and IP address before a transcript is written; what visitors write in their messages is
    /// not touched. Transcripts that are there stay as they are. Never set: visitors are named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymize_visitors: Option<bool>,
}

/// The person who becomes an organization's first operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct FirstOperator {
    /// E-mail address of the person, such as `mia@acme.example`.
    #[schemars(length(max = 254))]
    #[x_kube(validation = rules::email())]
    pub email: String,
    /// Name of the person, as others see it. Absent: the e-mail address is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
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
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the organization in the backend, for people: the controller itself finds it by this object's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub external_id: Option<String>,
    /// Id of the store that holds it. A store of another id or an older copy is never taken for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub store_id: Option<String>,
    /// Id of the organization in the backend, once it was let go: it stays there, and nothing is done about it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub released_id: Option<String>,
    /// The name in use: the spec's, or the generated unique id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    pub display_name: Option<String>,
    /// Whether deleting the organization has to be confirmed: the account's `deletionProtection`. Absent counts as true.
    #[serde(rename = "protected", skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// What is left to erase, while the organization is being erased.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erasure: Option<Erasure>,
    /// What the organization uses. Trails by some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Seats held by the organization, and the limit of its account. Trails by some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatUsage>,
    /// Seats as `held/limit`, such as `3/50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub seat_summary: Option<String>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused`.
    #[serde(default)]
    #[schemars(length(max = 16))]
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

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::Timestamp;

    use super::*;
    use crate::api::condition::{PAUSED, Reason, Wanted, readiness, set_conditions};

    /// The API server refuses objects from about 1 MiB on, and every watch carries the status: it must not grow with what is in the
    /// organization. All fields are named, so that a new one cannot be left out.
    #[test]
    fn the_status_stays_under_32_kib_whatever_the_organization_holds() {
        let long = |characters: usize| Some("\u{10FFFF}".repeat(characters));
        let mut wanted = readiness(Reason::ConfirmationRequired, &"\u{10FFFF}".repeat(5000));
        wanted.push(Wanted { type_: PAUSED, status: true, reason: "PausedByAnnotation", message: "\u{10FFFF}".repeat(5000) });
        let status = OrganizationStatus {
            observed_generation: i64::MAX,
            external_id: long(1024),
            store_id: long(253),
            released_id: long(1024),
            display_name: long(200),
            protected: Some(true),
            erasure: Some(Erasure { remaining: i64::MAX }),
            usage: Some(Usage {
                organizations: i64::MAX,
                operators: i64::MAX,
                departments: i64::MAX,
                widgets: i64::MAX,
                transcripts: i64::MAX,
            }),
            seats: Some(SeatUsage { limit: i64::MAX, held: i64::MAX, waiting: i64::MAX, unmanaged: i64::MAX }),
            seat_summary: long(64),
            conditions: set_conditions(&[], wanted, i64::MAX, Timestamp::MAX),
        };
        let bytes = serde_json::to_vec(&status).unwrap().len();
        assert!(bytes < 32 * 1024, "{bytes} bytes");
    }
}
