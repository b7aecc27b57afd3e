//! Reads objects from the API server so that one that cannot be read does not hold up the others.
//!
//! As kube's `DeserializeGuard`, which keeps no more than the metadata of such an object: here its spec is kept as it is, so that it
//! still counts as a dependent of those it names. Field managers, half of an object's bytes, are dropped before anything is copied.

use std::borrow::Cow;

use kube::Resource;
use kube::api::{ObjectMeta, PartialObjectMeta};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// An object that is stored in a form this version cannot read.
#[derive(Clone, Debug)]
pub struct Unreadable {
    /// What is wrong with it.
    pub error: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
    /// Its spec as it is.
    pub spec: Value,
}

/// An object, or what can be said of one that cannot be read.
#[derive(Clone, Debug)]
pub struct Guard<K>(pub Result<K, Unreadable>);

impl<'de, K> Deserialize<'de> for Guard<K>
where
    K: Resource,
    K: for<'a> Deserialize<'a>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(Value::Object(metadata)) = value.get_mut("metadata") {
            metadata.remove("managedFields");
        }
        K::deserialize(&value).map(Ok).or_else(|error| unreadable::<K, D::Error>(value, &error).map(Err)).map(Self)
    }
}

fn unreadable<K: Resource, E: Error>(mut value: Value, error: &serde_json::Error) -> Result<Unreadable, E> {
    let spec = value.get_mut("spec").map(Value::take).unwrap_or_default();
    let PartialObjectMeta { metadata, .. } = PartialObjectMeta::<K>::deserialize(value).map_err(E::custom)?;
    Ok(Unreadable { error: error.to_string(), metadata, spec })
}

impl<K: Resource> Resource for Guard<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::Widget;

    fn read(spec: &Value) -> Guard<Widget> {
        let metadata = json!({"name": "chat", "uid": "1", "managedFields": [{"manager": "kubectl"}]});
        let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Widget", "metadata": metadata, "spec": spec});
        serde_json::from_value(object).expect("an object in any case")
    }

    #[test]
    fn an_object_is_read_without_its_field_managers() {
        let widget = read(&json!({"organizationRef": {"name": "acme"}})).0.expect("readable");
        assert_eq!((widget.metadata.name.as_deref(), widget.metadata.managed_fields), (Some("chat"), None));
        assert_eq!(widget.spec.organization_ref.name, "acme");
    }

    #[test]
    fn of_one_that_cannot_be_read_metadata_and_spec_are() {
        let widget = read(&json!({"organizationRef": 7})).0.expect_err("not readable");
        assert_eq!((widget.metadata.uid.as_deref(), widget.metadata.managed_fields), (Some("1"), None));
        assert_eq!(widget.spec, json!({"organizationRef": 7}));
        assert!(widget.error.contains("invalid type"), "{}", widget.error);
    }
}
