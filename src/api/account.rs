//! `Account`: one customer account on one backend, under one plan.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::organization::{FirstOperator, Location, Privacy, StarterKit};
use super::{NameRef, rules};

/// One customer account on one backend, under one plan: one subscription, one bill.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "Account",
    shortname = "acct",
    category = "deskplane",
    printcolumn(name = "Plan", type_ = "string", json_path = ".spec.planRef.name"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Seats", type_ = "string", json_path = ".status.seatSummary"),
    printcolumn(name = "Organizations", type_ = "integer", json_path = ".status.usage.organizations"),
    printcolumn(name = "Backend", type_ = "string", json_path = ".spec.backendRef.name", priority = 1),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.email", priority = 1),
    printcolumn(name = "Waiting", type_ = "integer", json_path = ".status.seats.waiting", priority = 1),
    printcolumn(name = "External Id", type_ = "string", json_path = ".status.externalId", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    selectable = ".spec.backendRef.name",
    selectable = ".spec.planRef.name",
    namespaced,
    status = "AccountStatus",
    doc = "One customer account on one backend, under one plan: one subscription, one bill."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = same_first_operator("firstOperator"), validation = same_first_operator("firstOperatorRef"))]
pub struct AccountSpec {
    /// The `AccountBackend` the account lives on. Cannot be changed: an account never moves between backends.
    /// Naming one needs the verb `use` on `accountbackends`.
    #[x_kube(validation = rules::immutable("backendRef"))]
    pub backend_ref: NameRef,
    /// The `Plan` the account is under. May be changed at any time; a smaller plan takes nothing away, but lets nothing new in until
    /// usage fits it. Naming one needs the verb `use` on `plans`.
    pub plan_ref: NameRef,
    /// Who owns the account, and may enter every organization of it. Unless `defaultOrganization` names another person, the owner
    /// is the first operator of the default organization.
    pub owner: Person,
    /// How the account's default organization, `<account>-default`, starts out: the spec of an `Organization` without `accountRef`.
    /// Read once, when that `Organization` is made; afterwards, edit the `Organization`. Absent: it is made with what is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::at_most_one_first_operator())]
    pub default_organization: Option<DefaultOrganization>,
    /// Whether deleting this account or an organization of it has to be confirmed with the annotation
    /// `deskplane.dev/confirm-deletion` before anything is erased. Switching it off needs the verb `delete` on the account.
    #[serde(default = "protected")]
    pub deletion_protection: bool,
}

fn protected() -> bool {
    true
}

/// The first operator inside `defaultOrganization` can be neither added nor removed, also together with all of it.
fn same_first_operator(field: &str) -> kube::core::Rule {
    let named = |spec: &str| format!("(has({spec}.defaultOrganization) && has({spec}.defaultOrganization.{field}))");
    let message = format!(
        "defaultOrganization.{field} can be neither added nor removed: it is read once, when the organization is made; edit the Organization"
    );
    kube::core::Rule::new(format!("{} == {}", named("self"), named("oldSelf"))).message(message.as_str())
}

/// A person by e-mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    /// E-mail address of the person, such as `ada@acme.example`.
    #[schemars(length(max = 254))]
    #[x_kube(validation = rules::email())]
    pub email: String,
    /// Name of the person, as others see it. Absent: the e-mail address is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 200))]
    #[x_kube(validation = rules::printable("displayName"), validation = rules::trimmed("displayName"))]
    pub display_name: Option<String>,
}

/// The default organization's spec without `accountRef`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct DefaultOrganization {
    /// Name of the organization, as people see it. Absent: the organization's generated unique id.
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
    /// Who becomes the first operator: an `Operator` object `<account>-default-first-operator` is made for this person.
    /// Absent, and no `firstOperatorRef` either: the account's owner. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::immutable("firstOperator"))]
    pub first_operator: Option<FirstOperator>,
    /// The first operator, as the name of an `Operator` object in this namespace. Instead of `firstOperator`. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::immutable("firstOperatorRef"))]
    pub first_operator_ref: Option<NameRef>,
    /// Whether a first department and a first widget are made with the organization: `Create` or `None`.
    #[serde(default)]
    pub starter_kit: StarterKit,
}

/// What the controller last saw of an `Account`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the account in the backend, for people: the controller itself finds it by this object's UID.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub external_id: Option<String>,
    /// Id of the store that holds it. A store of another id or an older copy is never taken for this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub store_id: Option<String>,
    /// Id of the account in the backend, once it was let go: it stays there, and nothing is done about it any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub released_id: Option<String>,
    /// What the account uses, over all its organizations. Trails by some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Seats of the account, over all its organizations. Trails by some seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seats: Option<SeatUsage>,
    /// Seats as `held/limit`, such as `3/50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub seat_summary: Option<String>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused` and `WithinPlan`.
    #[serde(default)]
    #[schemars(length(max = 16))]
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
    /// Departments. No plan limits them.
    pub departments: i64,
    /// Chat widgets.
    pub widgets: i64,
    /// Transcripts of chats. Chats go on all day: counted at least every `resyncInterval` of the `AccountBackend`.
    #[serde(default)]
    pub transcripts: i64,
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
