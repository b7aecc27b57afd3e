//! References to other objects, always by name.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::rules;

/// A reference by name to an object; namespaced ones stay in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NameRef {
    /// `metadata.name` of the object. An object that belongs to a namespace is looked for in the namespace of the one that names it.
    #[schemars(length(max = 253))]
    #[x_kube(validation = rules::object_name())]
    pub name: String,
}

impl From<&str> for NameRef {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}
