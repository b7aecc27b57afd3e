//! A namespace with a plan of its own, in which a test makes objects and waits for them.

use kube::api::{DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};

use super::Controller;
use super::objects::{account_spec, api, create, get, gone, merge, operator_spec, organization_spec, plan_of, ready, reason_is, until};
use crate::controlplane::ControlPlane;

/// The same on the shared control plane.
pub type Tenant = TenantOn<'static>;

/// A namespace with a plan and the shared backend, for one test.
pub struct TenantOn<'p> {
    /// The control plane it is on.
    pub plane: &'p ControlPlane,
    /// Its namespace.
    pub namespace: String,
    /// Its plan: named like the namespace.
    pub plan: String,
}

impl TenantOn<'static> {
    /// A new namespace and a new plan with these limits, on the shared controller.
    pub async fn new(hint: &str, limits: Value) -> Self {
        Controller::shared().await;
        Self::on(ControlPlane::shared().await, hint, limits).await
    }
}

impl<'p> TenantOn<'p> {
    /// The same on a control plane of the test's own, whose controller is the test's own too.
    pub async fn on(plane: &'p ControlPlane, hint: &str, limits: Value) -> Self {
        let namespace = plane.namespace(hint).await;
        let plan = namespace.clone();
        create(plane, plan_of(&plan, limits)).await;
        Self { plane, namespace, plan }
    }

    /// Creates an object in the namespace; `spec` and `metadata` are merged into it.
    pub async fn create(&self, kind: &str, name: &str, spec: Value) -> DynamicObject {
        self.create_with(kind, name, json!({}), spec).await
    }

    /// The same with more metadata (labels, annotations).
    pub async fn create_with(&self, kind: &str, name: &str, mut metadata: Value, spec: Value) -> DynamicObject {
        metadata["name"] = json!(name);
        metadata["namespace"] = json!(self.namespace);
        create(self.plane, json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec})).await
    }

    /// Creates an account of this plan on the shared backend.
    pub async fn account(&self, name: &str) -> DynamicObject {
        self.account_with(name, json!({})).await
    }

    /// The same with more fields in the spec.
    pub async fn account_with(&self, name: &str, more: Value) -> DynamicObject {
        let mut spec = account_spec(&self.plan);
        merge(&mut spec, more);
        self.create("Account", name, spec).await
    }

    /// Creates an organization with an inline first operator `first@<name>.example` and no starter kit.
    pub async fn organization(&self, name: &str, account: &str) -> DynamicObject {
        self.create("Organization", name, organization_spec(name, account)).await
    }

    /// Creates an operator `<name>@x.example` without credentials.
    pub async fn operator(&self, name: &str, organization: &str) -> DynamicObject {
        self.create("Operator", name, operator_spec(name, organization)).await
    }

    /// Merge-patches an object.
    pub async fn patch(&self, kind: &str, name: &str, patch: Value) -> DynamicObject {
        let api = api(self.plane, kind, &self.namespace).await;
        api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap_or_else(|error| panic!("patch {kind} {name}: {error}"))
    }

    /// Sets an annotation, or removes it with `null`.
    pub async fn annotate(&self, kind: &str, name: &str, annotation: &str, value: Value) {
        self.patch(kind, name, json!({"metadata": {"annotations": {annotation: value}}})).await;
    }

    /// Gives the plan other limits.
    pub async fn raise(&self, limits: Value) {
        let api = api(self.plane, "Plan", "").await;
        let patch = Patch::Merge(json!({"spec": {"limits": limits}}));
        api.patch(&self.plan, &PatchParams::default(), &patch).await.expect("patch the plan");
    }

    /// Asks for a deletion, which must be accepted.
    pub async fn delete(&self, kind: &str, name: &str) {
        let api = api(self.plane, kind, &self.namespace).await;
        api.delete(name, &kube::api::DeleteParams::background()).await.unwrap_or_else(|error| panic!("delete {kind} {name}: {error}"));
    }

    /// Waits until the object is Ready at its present generation.
    pub async fn ready(&self, kind: &str, name: &str) -> Value {
        ready(self.plane, kind, &self.namespace, name).await
    }

    /// Waits until `Ready` has this reason at the present generation.
    pub async fn reason(&self, kind: &str, name: &str, reason: &str) -> Value {
        reason_is(self.plane, kind, &self.namespace, name, reason).await
    }

    /// Waits until the object is as the probe wants it.
    pub async fn until(&self, kind: &str, name: &str, what: &str, probe: impl Fn(&Value) -> bool) -> Value {
        until(self.plane, kind, &self.namespace, name, what, probe).await
    }

    /// Waits until the object does not exist.
    pub async fn gone(&self, kind: &str, name: &str) {
        gone(self.plane, kind, &self.namespace, name).await;
    }

    /// The object now, if it exists.
    pub async fn get(&self, kind: &str, name: &str) -> Option<Value> {
        get(self.plane, kind, &self.namespace, name).await
    }
}
