//! The seven kinds of `deskplane.dev/v1alpha1`, one file each, and the words they share. Types only.

#![allow(clippy::duplicated_attributes, reason = "clippy takes the columns of a `kube` attribute for one attribute repeated")]

pub mod account;
pub mod account_backend;
pub mod condition;
pub mod department;
pub mod names;
pub mod operator;
pub mod organization;
pub mod plan;
pub mod reference;
mod rules;
mod schema;
pub mod widget;

pub use account::{Account, AccountSpec, AccountStatus};
pub use account_backend::{AccountBackend, AccountBackendSpec, AccountBackendStatus};
pub use department::{Department, DepartmentSpec, DepartmentStatus};
pub use operator::{Operator, OperatorSpec, OperatorStatus};
pub use organization::{Organization, OrganizationSpec, OrganizationStatus};
pub use plan::{Plan, PlanSpec, PlanStatus};
pub use reference::NameRef;
pub use schema::crds;
pub use widget::{Widget, WidgetSpec, WidgetStatus};
