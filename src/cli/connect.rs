//! Which cluster and namespace a verb talks to, found as kubectl finds them.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use futures::TryStreamExt;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::{Client, Config, Resource};
use serde::de::DeserializeOwned;

use super::error::{CliError, chain};

/// Longest wait for an answer: a dead connection would hang for ever.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Objects a page of a list.
const PAGE: u32 = 500;

/// Flags that say which cluster.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// The kubeconfig file [default: KUBECONFIG, then ~/.kube/config, then the pod's service account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
}

/// The flag that says which namespace.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Cluster")]
pub struct NamespaceArgs {
    /// The namespace [default: the context's]
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
}

/// A cluster, and the namespace to look in unless another is named.
pub struct Cluster {
    /// For requests.
    pub client: Client,
    /// The context's namespace.
    default_namespace: String,
}

impl ClusterArgs {
    /// Connects.
    pub async fn connect(&self) -> Result<Cluster, CliError> {
        let mut config = self.config().await?;
        config.read_timeout = Some(ANSWER_TIMEOUT);
        config.reset_reader_on_write = true;
        let default_namespace = config.default_namespace.clone();
        let client = Client::try_from(config).map_err(|error| CliError::Kubeconfig { message: chain(&error) })?;
        Ok(Cluster { client, default_namespace })
    }

    /// The configuration of a client: also what the `controller` verb runs with.
    pub async fn config(&self) -> Result<Config, CliError> {
        let options = KubeConfigOptions { context: self.context.clone(), ..KubeConfigOptions::default() };
        let named = |error: &KubeconfigError| CliError::Kubeconfig { message: chain(error) };
        if let Some(path) = &self.kubeconfig {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| named(&error))?;
            return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| named(&error));
        }
        let outside = match Config::from_kubeconfig(&options).await {
            Ok(config) => return Ok(config),
            Err(error) => named(&error),
        };
        // Without a kubeconfig we may be in a pod; a context that was named must be in a kubeconfig.
        if self.context.is_some() { Err(outside) } else { Config::incluster().map_err(|_| outside) }
    }
}

impl Cluster {
    /// The namespace that was named, or else the context's.
    pub fn namespace(&self, named: &NamespaceArgs) -> String {
        named.namespace.clone().unwrap_or_else(|| self.default_namespace.clone())
    }

    /// The objects of a kind in one namespace, or in all.
    pub fn api<K>(&self, namespace: Option<&str>) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    /// All objects of a kind, page by page. One that cannot be read does not hide the others.
    pub async fn list<K>(&self, namespace: Option<&str>, fields: Option<&str>) -> Result<Vec<DeserializeGuard<K>>, CliError>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<DeserializeGuard<K>> = match namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let place = namespace.map_or_else(|| "all namespaces".to_owned(), |namespace| format!("namespace {namespace}"));
        let failed = |error: &kube::Error| CliError::request(format!("listing {} in {place}", K::plural(&())), error);
        let pages = futures::stream::try_unfold(Some(None::<String>), |token| async {
            let Some(token) = token else { return Ok(None) };
            let mut params = ListParams::default().limit(PAGE);
            params.continue_token = token;
            params.field_selector = fields.map(str::to_owned);
            let page = api.list(&params).await?;
            let next = page.metadata.continue_.filter(|token| !token.is_empty());
            Ok::<_, kube::Error>(Some((page.items, next.map(Some))))
        });
        let pages: Vec<_> = pages.try_collect().await.map_err(|error| failed(&error))?;
        Ok(pages.into_iter().flatten().collect())
    }
}
