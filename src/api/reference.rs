//! References to other objects, always by name.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// A reference by name to an object; namespaced ones stay in the namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
pub struct NameRef {
    /// `metadata.name` of the object.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

impl From<&str> for NameRef {
    fn from(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}
