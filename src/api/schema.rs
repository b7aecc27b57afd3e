//! The `CustomResourceDefinition`s, as the API server gets them.
//!
//! The derives write most of a schema. One pass over each adds what they cannot say: bounds inside types that are not ours
//! (conditions, label selectors), the default of `status`, and what follows from `Option` but would be wrong here (`nullable`).

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::{Value, json};

use super::{Account, AccountBackend, Department, Operator, Organization, Plan, Widget};

/// The definitions of all seven kinds, in the order a reader meets them.
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![
        finish(AccountBackend::crd()),
        finish(Plan::crd()),
        finish(Account::crd()),
        finish(Organization::crd()),
        finish(Operator::crd()),
        finish(Department::crd()),
        finish(Widget::crd()),
    ]
}

fn finish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version.schema.as_mut().and_then(|schema| schema.open_api_v3_schema.as_mut()) else { continue };
        walk(root, &mut tidy);
        if let Some(status) = root.properties.as_mut().and_then(|properties| properties.get_mut("status")) {
            // A value the controller has not reported must not look reported.
            walk(status, &mut |schema| schema.default = None);
            // kstatus calls an object without status Current; this one says that nobody has looked at it yet.
            status.default = Some(JSON(json!({ "observedGeneration": -1 })));
        }
    }
    crd
}

/// Calls `visit` on a schema and on all schemas in it.
fn walk(schema: &mut JSONSchemaProps, visit: &mut impl FnMut(&mut JSONSchemaProps)) {
    visit(schema);
    for property in schema.properties.iter_mut().flat_map(|properties| properties.values_mut()) {
        walk(property, visit);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => walk(item, visit),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(|item| walk(item, visit)),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut schema.additional_properties {
        walk(value, visit);
    }
}

fn tidy(schema: &mut JSONSchemaProps) {
    // `kubectl explain` breaks lines itself.
    schema.description = schema.description.as_deref().map(unwrap_lines);
    // Absent is the one way to say "not set": with `nullable`, server-side apply would keep nulls.
    schema.nullable = None;
    schema.title = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|JSON(value)| !value.is_null());
    }
    // `{}` and `[]` add nothing but noise in a diff.
    if schema.default.as_ref().is_some_and(|JSON(value)| is_empty(value)) {
        schema.default = None;
    }
    if is_condition(schema) {
        bound_condition(schema);
    }
    if has_property(schema, "matchLabels") {
        bound_selector(schema);
    }
}

/// One line a paragraph.
fn unwrap_lines(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn has_property(schema: &JSONSchemaProps, name: &str) -> bool {
    schema.properties.as_ref().is_some_and(|properties| properties.contains_key(name))
}

fn is_condition(schema: &JSONSchemaProps) -> bool {
    has_property(schema, "lastTransitionTime")
}

/// Runs `change` on a property, if it exists.
fn property(schema: &mut JSONSchemaProps, name: &str, change: impl FnOnce(&mut JSONSchemaProps)) {
    if let Some(property) = schema.properties.as_mut().and_then(|properties| properties.get_mut(name)) {
        change(property);
    }
}

fn strings(values: &[&str]) -> Vec<JSON> {
    values.iter().map(|value| JSON(json!(value))).collect()
}

/// The bounds of Kubernetes' own `meta/v1` Condition, which its Rust type does not carry.
fn bound_condition(schema: &mut JSONSchemaProps) {
    property(schema, "type", |p| p.max_length = Some(316));
    property(schema, "reason", |p| (p.min_length, p.max_length) = (Some(1), Some(1024)));
    property(schema, "message", |p| p.max_length = Some(32_768));
    property(schema, "lastTransitionTime", |p| p.max_length = Some(64));
    property(schema, "status", |p| p.enum_ = Some(strings(&["True", "False", "Unknown"])));
}

/// Bounds of a label selector: without them, the API server refuses rules over it as too expensive.
fn bound_selector(schema: &mut JSONSchemaProps) {
    let label = |value: &mut JSONSchemaProps| value.max_length = Some(63);
    property(schema, "matchLabels", |labels| {
        labels.max_properties = Some(16);
        if let Some(JSONSchemaPropsOrBool::Schema(value)) = &mut labels.additional_properties {
            label(value);
        }
    });
    property(schema, "matchExpressions", |expressions| {
        expressions.max_items = Some(16);
        expressions.x_kubernetes_list_type = Some("atomic".into());
        let Some(JSONSchemaPropsOrArray::Schema(expression)) = &mut expressions.items else { return };
        property(expression, "key", |key| {
            key.min_length = Some(1);
            key.max_length = Some(317); // a DNS name of 253, a slash and a name of 63
        });
        property(expression, "operator", |operator| operator.enum_ = Some(strings(&["In", "NotIn", "Exists", "DoesNotExist"])));
        property(expression, "values", |values| {
            values.max_items = Some(64);
            values.x_kubernetes_list_type = Some("atomic".into());
            if let Some(JSONSchemaPropsOrArray::Schema(value)) = &mut values.items {
                label(value);
            }
        });
    });
}

#[cfg(test)]
mod tests;
