//! Reads objects from watches so that one that cannot be read does not hold up the others.
//!
//! As kube's `DeserializeGuard`, with less work: that one copies each object twice on the way, field managers included, which nobody
//! here reads.

use std::borrow::Cow;

use kube::Resource;
use kube::api::{ObjectMeta, PartialObjectMeta};
use kube::core::error_boundary::InvalidObject;
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

/// An object, or its metadata and why it cannot be read.
#[derive(Clone, Debug)]
pub struct Guard<K>(pub Result<K, InvalidObject>);

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
        K::deserialize(&value).map(Ok).or_else(|error| invalid::<K, D::Error>(&value, &error).map(Err)).map(Self)
    }
}

fn invalid<K: Resource, E: Error>(value: &Value, error: &serde_json::Error) -> Result<InvalidObject, E> {
    let partial = PartialObjectMeta::<K>::deserialize(value).map_err(E::custom)?;
    Ok(InvalidObject { error: error.to_string(), metadata: partial.metadata })
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
        self.0.as_ref().map_or_else(|invalid| &invalid.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|invalid| &mut invalid.metadata, K::meta_mut)
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
    fn of_one_that_cannot_be_read_the_metadata_is() {
        let invalid = read(&json!({"organizationRef": 7})).0.expect_err("not readable");
        assert_eq!(invalid.metadata.uid.as_deref(), Some("1"));
        assert!(invalid.error.contains("invalid type"), "{}", invalid.error);
    }
}
