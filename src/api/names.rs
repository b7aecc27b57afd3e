//! Every name Deskplane and its users write on objects: group, finalizers, annotations, labels.

/// API group of all kinds.
pub const GROUP: &str = "deskplane.dev";
/// API version of all kinds.
pub const VERSION: &str = "v1alpha1";
/// Field manager of every write of ours.
pub const FIELD_MANAGER: &str = "deskplane";
/// Which controller serves an `AccountBackend` that names none.
pub const DEFAULT_CONTROLLER_NAME: &str = "deskplane.dev/controller";

/// Finalizer of namespaced kinds: the row is erased, or released, before the object goes.
pub const ERASE_FINALIZER: &str = "deskplane.dev/erase";
/// Finalizer of `Plan` and `AccountBackend`: they stay while an Account names them.
pub const IN_USE_FINALIZER: &str = "deskplane.dev/in-use";

/// Annotation a person sets to confirm a deletion; the value is `metadata.name`.
pub const CONFIRM_DELETION: &str = "deskplane.dev/confirm-deletion";
/// Annotation a person sets to let go without touching the backend; the value is `metadata.name`.
pub const RELEASE: &str = "deskplane.dev/release";
/// Annotation that stops writes to the backend: `"true"`.
pub const PAUSED: &str = "deskplane.dev/paused";
/// Annotation on an `AccountBackend`: the id of the store to accept from now on.
pub const ACCEPT_STORE: &str = "deskplane.dev/accept-store";
/// Label of objects made by the starter kit.
pub const STARTER_LABEL: &str = "deskplane.dev/starter";
/// Type of every Secret the controller makes.
pub const CREDENTIALS_SECRET_TYPE: &str = "deskplane.dev/credentials";

/// Name of an account's default organization.
pub fn default_organization(account: &str) -> String {
    format!("{account}-default")
}

/// Name of the Operator made from an organization's inline `firstOperator`.
pub fn first_operator(organization: &str) -> String {
    format!("{organization}-first-operator")
}

/// Name of the starter kit's Department.
pub fn starter_department(organization: &str) -> String {
    format!("{organization}-customer-service")
}

/// Name of the starter kit's Widget.
pub fn starter_widget(organization: &str) -> String {
    format!("{organization}-widget")
}

/// Name of the Secret of an operator's credentials, unless the spec names one.
pub fn credentials_secret(operator: &str) -> String {
    format!("{operator}-credentials")
}
