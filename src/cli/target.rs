//! An Account or Organization that a person acts on by annotation: what it says of itself, and how it is annotated.
//!
//! It is read loosely: whoever wants to let go of an object, or to confirm its deletion, is not stopped by a spec that no longer reads.

use clap::Args;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::api::account::Usage;
use crate::api::condition::{READY, find};
use crate::api::names::{CONFIRM_DELETION, ERASE_FINALIZER, FIELD_MANAGER, PAUSED, RELEASE, default_organization};
use crate::api::{Account, Organization};

use super::connect::Cluster;
use super::error::CliError;

/// How often an annotation is tried anew when others write the object meanwhile.
const TRIES: usize = 10;

/// What a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TargetKind {
    /// An account.
    Account,
    /// An organization.
    Organization,
}

/// The flag that says which kind a name is of.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct KindArgs {
    /// The name is that of an Account, not of an Organization
    #[arg(long)]
    pub account: bool,
}

impl KindArgs {
    /// The kind.
    pub fn kind(self) -> TargetKind {
        if self.account { TargetKind::Account } else { TargetKind::Organization }
    }
}

impl TargetKind {
    /// As in `kind:`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::Organization => "Organization",
        }
    }

    /// As people type it.
    pub fn short(self) -> &'static str {
        match self {
            Self::Account => "acct",
            Self::Organization => "org",
        }
    }

    /// As in RBAC.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Account => "accounts.deskplane.dev",
            Self::Organization => "organizations.deskplane.dev",
        }
    }

    /// Objects of the kind in a namespace, or in all.
    pub fn api(self, cluster: &Cluster, namespace: Option<&str>) -> Api<DynamicObject> {
        let resource = match self {
            Self::Account => ApiResource::erase::<Account>(&()),
            Self::Organization => ApiResource::erase::<Organization>(&()),
        };
        match namespace {
            Some(namespace) => Api::namespaced_with(cluster.client.clone(), namespace, &resource),
            None => Api::all_with(cluster.client.clone(), &resource),
        }
    }
}

/// An Account or Organization as it was read.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind.
    pub kind: TargetKind,
    object: DynamicObject,
}

impl Target {
    /// An object of that kind.
    pub fn new(kind: TargetKind, object: DynamicObject) -> Self {
        Self { kind, object }
    }

    /// Reads it.
    pub async fn get(cluster: &Cluster, kind: TargetKind, namespace: &str, name: &str) -> Result<Self, CliError> {
        let got = kind.api(cluster, Some(namespace)).get(name).await;
        let object = got.map_err(|error| CliError::request(format!("{} {namespace}/{name}", kind.as_str()), &error))?;
        Ok(Self::new(kind, object))
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> &str {
        self.object.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        self.object.metadata.uid.as_deref().unwrap_or_default()
    }

    /// `Organization chat/acme-germany`.
    pub fn what(&self) -> String {
        format!("{} {}/{}", self.kind.as_str(), self.namespace(), self.name())
    }

    /// The name people see, if the status says one.
    pub fn display_name(&self) -> Option<&str> {
        self.object.data.pointer("/status/displayName")?.as_str()
    }

    /// Id of its row in the backend.
    pub fn external_id(&self) -> Option<&str> {
        self.object.data.pointer("/status/externalId")?.as_str()
    }

    /// Id of its row in the backend, also once that was let go.
    pub fn row_id(&self) -> Option<&str> {
        self.external_id().or_else(|| self.object.data.pointer("/status/releasedId")?.as_str())
    }

    /// What is in it, as of the last update of its status.
    pub fn usage(&self) -> Option<Usage> {
        self.part("/status/usage")
    }

    /// Reason and message of its condition `Ready`.
    pub fn ready(&self) -> Option<(String, String)> {
        let conditions: Vec<_> = self.part("/status/conditions")?;
        find(&conditions, READY).map(|ready| (ready.reason.clone(), ready.message.clone()))
    }

    /// Whether a deletion of it needs a confirmation; absent counts as protected.
    pub fn protected(&self) -> bool {
        let field = match self.kind {
            TargetKind::Account => "/spec/deletionProtection",
            TargetKind::Organization => "/status/protected",
        };
        self.object.data.pointer(field).and_then(serde_json::Value::as_bool).unwrap_or(true)
    }

    /// Name of the account whose default organization it is. One that never came to be is deleted like any other.
    pub fn default_of(&self) -> Option<&str> {
        let account = self.object.data.pointer("/spec/accountRef/name")?.as_str()?;
        let is_default = self.kind == TargetKind::Organization && self.name() == default_organization(account);
        (is_default && self.external_id().is_some()).then_some(account)
    }

    /// It has a deletion timestamp.
    pub fn terminating(&self) -> bool {
        self.object.metadata.deletion_timestamp.is_some()
    }

    /// It has our finalizer.
    pub fn held_by_finalizer(&self) -> bool {
        self.object.metadata.finalizers.as_ref().is_some_and(|all| all.iter().any(|one| one == ERASE_FINALIZER))
    }

    /// The annotation that pauses is set.
    pub fn paused(&self) -> bool {
        self.annotation(PAUSED) == Some("true")
    }

    /// The annotation that confirms names it.
    pub fn confirmed(&self) -> bool {
        self.annotation(CONFIRM_DELETION) == Some(self.name())
    }

    /// The annotation that lets go names it.
    pub fn released(&self) -> bool {
        self.annotation(RELEASE) == Some(self.name())
    }

    /// Sets an annotation to the object's name: on this very object, not on a later one of the same name.
    pub async fn annotate(&self, cluster: &Cluster, annotation: &str, dry_run: bool) -> Result<(), CliError> {
        let api = self.kind.api(cluster, Some(self.namespace()));
        let params = PatchParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let mut version = self.object.metadata.resource_version.clone();
        for _ in 0..TRIES {
            let metadata = json!({"uid": self.uid(), "resourceVersion": version, "annotations": {annotation: self.name()}});
            match api.patch_metadata(self.name(), &params, &Patch::Merge(json!({"metadata": metadata}))).await {
                Ok(_) => return Ok(()),
                // Somebody wrote the object meanwhile, most likely the controller its status: look again.
                Err(kube::Error::Api(status)) if status.code == 409 => version = self.version_now(cluster).await?,
                Err(error) => return Err(CliError::request(self.what(), &error)),
            }
        }
        let message = "others keep writing it: try again".to_owned();
        Err(CliError::Request { what: self.what(), message })
    }

    /// The resource version of this very object now.
    async fn version_now(&self, cluster: &Cluster) -> Result<Option<String>, CliError> {
        let now = Self::get(cluster, self.kind, self.namespace(), self.name()).await?;
        if now.uid() == self.uid() {
            return Ok(now.object.metadata.resource_version);
        }
        let message = "it was deleted and made anew meanwhile: look at it again".to_owned();
        Err(CliError::Request { what: self.what(), message })
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.object.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    fn part<T: DeserializeOwned>(&self, pointer: &str) -> Option<T> {
        serde_json::from_value(self.object.data.pointer(pointer)?.clone()).ok()
    }
}
