//! `AccountBackend`: where accounts live and how to reach it.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::core::Rule;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::rules;

/// Where accounts live and how the controller reaches it. Written by cluster admins only.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[kube(
    group = "deskplane.dev",
    version = "v1alpha1",
    kind = "AccountBackend",
    shortname = "ab",
    category = "deskplane",
    printcolumn(name = "Accounts", type_ = "integer", json_path = ".status.accounts"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Paused", type_ = "string", json_path = ".status.conditions[?(@.type=='Paused')].status"),
    printcolumn(name = "Store", type_ = "string", json_path = ".status.storeId", priority = 1),
    printcolumn(name = "Epoch", type_ = "integer", json_path = ".status.epoch", priority = 1),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.server.url", priority = 1),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.publicURL", priority = 1),
    printcolumn(name = "Controller", type_ = "string", json_path = ".spec.controllerName", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    status = "AccountBackendStatus",
    doc = "Where accounts live and how the controller reaches it."
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = one_provider(), validation = rate_of_a_server())]
pub struct AccountBackendSpec {
    /// Which controller serves this backend; a controller of another name writes nothing to it, nor to the accounts on it.
    /// Cannot be changed.
    #[serde(default = "default_controller_name")]
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::controller_name(), validation = rules::immutable("controllerName"))]
    pub controller_name: String,
    /// The provider `embedded`: accounts live in the store inside the controller (its `--database`). It has no settings: write
    /// `embedded: {}`. Exactly one provider is set. It may be changed: the store behind it is recognised by its id, and another one
    /// is not written to until it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedded: Option<EmbeddedProvider>,
    /// The provider `server`: accounts live in an account server (`deskplane server`), which several clusters may share. The controller
    /// needs an `--owner-id` for it. Exactly one provider is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerProvider>,
    /// How fast the controller may ask the server. Absent: as fast as it can; when the server asks to slow down, it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// Where people log in and widgets load from, such as `https://chat.example`: the base of the `loginURL` in credentials and of a
    /// widget's `embedSnippet`. No slash at the end.
    #[serde(rename = "publicURL", default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::base_url("publicURL"))]
    pub public_url: Option<String>,
    /// Labels of the namespaces whose accounts may use this backend. Absent: all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = rules::selector_expressions("allowedNamespaces"), validation = rules::selector_values("allowedNamespaces"))]
    pub allowed_namespaces: Option<LabelSelector>,
    /// After what time the backend is compared with the objects again, also when nothing was changed here: a change made directly in
    /// the backend is found and corrected by then. Hours, minutes and seconds, such as `10m` or `1h30m`; from `10s` to `24h`.
    #[serde(default = "default_resync_interval")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = rules::interval("resyncInterval"))]
    pub resync_interval: String,
}

/// The embedded provider has no settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct EmbeddedProvider {}

/// An account server, and how to reach it. All of it may be changed: whether the same store answers is told by its id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerProvider {
    /// Where the server is, such as `https://accounts.example`. Plain `http://` is for a server on the same machine only: the
    /// token goes with every request. No slash at the end.
    #[schemars(length(max = 512))]
    #[x_kube(validation = rules::server_url())]
    pub url: String,
    /// Certificates of the authorities that the server's certificate may come from, in PEM, one after the other. Absent: those that
    /// the controller's machine or image trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65_536))]
    #[x_kube(validation = rules::certificates("caBundle"), validation = rules::no_private_key("caBundle"))]
    pub ca_bundle: Option<String>,
    /// The Secret with the token that the server gave out, under the key `token`. It is in the controller's own namespace
    /// (`--secret-namespace`). A change of it counts at once.
    pub credentials_secret_ref: SecretRef,
}

/// A reference by name to a Secret in the controller's own namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct SecretRef {
    /// `metadata.name` of the Secret.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::secret_ref_name())]
    pub name: String,
}

/// How fast a server may be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests a second in the long run.
    #[schemars(range(min = 1, max = 100_000))]
    pub requests_per_second: i32,
    /// Requests at once, after a rest.
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: i32,
}

fn default_controller_name() -> String {
    super::names::DEFAULT_CONTROLLER_NAME.to_owned()
}

fn default_resync_interval() -> String {
    "10m".to_owned()
}

/// A provider this version does not know is an unknown field, which the API server drops: what is left has none.
fn one_provider() -> Rule {
    Rule::new("has(self.embedded) != has(self.server)").message(
        "set exactly one provider; this version knows: embedded (write `embedded: {}`) and server (with url and credentialsSecretRef)",
    )
}

fn rate_of_a_server() -> Rule {
    Rule::new("!has(self.rateLimit) || has(self.server)")
        .message("rateLimit is for a server: take it away, or set server instead of embedded")
}

impl AccountBackendSpec {
    /// `resyncInterval` as a duration. The API server lets only valid ones through; whatever comes another way is brought within
    /// the same bounds, so that a bad value can neither hammer the backend nor stop the comparison.
    pub fn resync_interval(&self) -> Duration {
        let parsed = self.resync_interval.parse::<kube::core::Duration>().ok().filter(|duration| *duration > Duration::ZERO);
        parsed.map_or(DEFAULT_RESYNC, Duration::from).clamp(SHORTEST_RESYNC, LONGEST_RESYNC)
    }
}

const DEFAULT_RESYNC: Duration = Duration::from_mins(10);
const SHORTEST_RESYNC: Duration = Duration::from_secs(10);
const LONGEST_RESYNC: Duration = Duration::from_hours(24);

/// What the controller last saw of an `AccountBackend`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct AccountBackendStatus {
    /// The `metadata.generation` that this status speaks of; -1 until the controller has looked at the object.
    #[serde(default)]
    pub observed_generation: i64,
    /// Id of the store this backend stands for, recorded at first contact. A store of another id is not written to until an admin
    /// sets the annotation `deskplane.dev/accept-store`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub store_id: Option<String>,
    /// The `accept-store` annotation that was honoured. It counts once: remove the annotation and set it again to accept another copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub accepted_store: Option<String>,
    /// Highest epoch in which this controller is known to have written to the store; a store with a lower one is an older copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,
    /// How many `Account` objects name this backend. It cannot go while any does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<i64>,
    /// What the backend can do, such as `keyed`, `fenced` or `hardDelete`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64)))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Set)]
    pub capabilities: Vec<String>,
    /// Version of the backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
    /// `Ready`, and why not: `Reconciling` (on the way) or `Stalled` (a person must act). Also `Paused`.
    #[serde(default)]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = kube::core::ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resync_interval_is_what_it_says_and_never_out_of_bounds() {
        let seconds = |text: &str| {
            let spec = AccountBackendSpec { resync_interval: text.to_owned(), ..AccountBackendSpec::default() };
            spec.resync_interval().as_secs()
        };
        for (text, expected) in [("10m", 600), ("1h30m", 5400), ("45s", 45), ("24h", 86_400), ("1h0m5s", 3605)] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for (text, expected) in [("1s", 10), ("48h", 86_400), ("", 600), ("soon", 600), ("-5m", 600)] {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }
}
