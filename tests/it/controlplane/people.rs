//! Who asks: impersonated users, and service accounts with real tokens and exactly the rights they are given.

use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, RoleRef, Subject};
use kube::Client;
use kube::api::{Api, ObjectMeta, PostParams};
use kube::config::Kubeconfig;

use super::{ControlPlane, DEADLINE, config_of, eventually};

/// A service account with a token of its own.
pub struct ServiceAccount {
    /// `system:serviceaccount:<namespace>:<name>`, as policies and the audit log name it.
    pub user: String,
    /// For programs that are to run as this service account.
    pub kubeconfig: PathBuf,
}

impl ServiceAccount {
    /// A new client with this service account's token.
    pub async fn client(&self) -> Client {
        Client::try_from(config_of(&self.kubeconfig).await).expect("a client of the service account's kubeconfig")
    }
}

impl ControlPlane {
    /// A new client that acts as another user, by impersonation.
    pub async fn client_as(&self, user: &str, groups: &[&str]) -> Client {
        let mut config = self.config().await;
        let header = |name: &'static str, value: &str| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a name fit for a header"))
        };
        config.headers.push(header("impersonate-user", user));
        config.headers.extend(groups.iter().map(|group| header("impersonate-group", group)));
        Client::try_from(config).expect("a client that impersonates")
    }

    /// A new service account whose rights, in the whole cluster, are these rules; returns when they are in force.
    pub async fn service_account(&self, namespace: &str, name: &str, rules: Vec<PolicyRule>) -> ServiceAccount {
        let client = self.client().await;
        let first = rules.first().cloned();
        self.create_account(&client, namespace, name, rules).await;
        let account = ServiceAccount {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            kubeconfig: self.write_kubeconfig(&client, namespace, name).await,
        };
        if let Some(rule) = first {
            in_force(&account.client().await, &rule).await;
        }
        account
    }

    async fn create_account(&self, client: &Client, namespace: &str, name: &str, rules: Vec<PolicyRule>) {
        let create = PostParams::default();
        let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let account = core::ServiceAccount { metadata: named(name), ..core::ServiceAccount::default() };
        Api::namespaced(client.clone(), namespace).create(&create, &account).await.expect("create a service account");

        let role = format!("{namespace}:{name}");
        let cluster_role = ClusterRole { metadata: named(&role), rules: Some(rules), ..ClusterRole::default() };
        Api::all(client.clone()).create(&create, &cluster_role).await.expect("create a cluster role");

        let subject = Subject {
            kind: "ServiceAccount".to_owned(),
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        };
        let binding = ClusterRoleBinding {
            metadata: named(&role),
            role_ref: RoleRef { api_group: "rbac.authorization.k8s.io".to_owned(), kind: "ClusterRole".to_owned(), name: role },
            subjects: Some(vec![subject]),
        };
        Api::all(client.clone()).create(&create, &binding).await.expect("bind the cluster role");
    }

    /// A kubeconfig with a new token of a service account that exists.
    pub async fn token_kubeconfig(&self, namespace: &str, name: &str) -> PathBuf {
        self.write_kubeconfig(&self.client().await, namespace, name).await
    }

    async fn write_kubeconfig(&self, client: &Client, namespace: &str, name: &str) -> PathBuf {
        let accounts: Api<core::ServiceAccount> = Api::namespaced(client.clone(), namespace);
        let request = TokenRequest {
            spec: TokenRequestSpec { expiration_seconds: Some(3600), ..TokenRequestSpec::default() },
            ..TokenRequest::default()
        };
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.expect("a token");
        let token = answer.status.expect("the API server answers with a status").token;

        let mut kubeconfig = Kubeconfig::read_from(self.kubeconfig()).expect("read the kubeconfig");
        let user = kubeconfig.auth_infos[0].auth_info.as_mut().expect("the kubeconfig has a user");
        user.token = Some(token.into());
        let path = self.state().join(format!("{namespace}.{name}.kubeconfig"));
        std::fs::write(&path, serde_yaml::to_string(&kubeconfig).expect("serialize")).expect("write the kubeconfig");
        path
    }
}

/// The API server learns of a new binding a moment later.
async fn in_force(client: &Client, rule: &PolicyRule) {
    let first = |list: &Option<Vec<String>>| list.as_ref().and_then(|list| list.first().cloned());
    let (resource, subresource) = match first(&rule.resources) {
        Some(resource) => {
            resource.split_once('/').map_or((resource.clone(), None), |(resource, sub)| (resource.to_owned(), Some(sub.to_owned())))
        }
        None => return,
    };
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: first(&rule.api_groups),
                resource: Some(resource),
                subresource,
                verb: rule.verbs.first().cloned(),
                name: first(&rule.resource_names),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    eventually("the rights of a new service account are in force", DEADLINE, async || {
        let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await;
        let allowed = answer.map_err(|error| error.to_string())?.status.is_some_and(|status| status.allowed);
        allowed.then_some(()).ok_or_else(|| "not allowed".to_owned())
    })
    .await;
}
