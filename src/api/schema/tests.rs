//! What holds for every schema, whatever the kind: so that a new field cannot forget it.

use super::*;

/// Runs a check on every schema of every kind, with its path, such as `Operator.spec.email`.
fn each(check: impl Fn(&str, &JSONSchemaProps)) {
    for crd in crds() {
        let root = crd.spec.versions[0].schema.as_ref().and_then(|schema| schema.open_api_v3_schema.as_ref());
        descend(&crd.spec.names.kind, root.expect("a schema"), &check);
    }
}

fn descend(path: &str, schema: &JSONSchemaProps, check: &impl Fn(&str, &JSONSchemaProps)) {
    check(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        descend(&format!("{path}.{name}"), property, check);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &schema.items {
        descend(&format!("{path}[]"), item, check);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(value)) = &schema.additional_properties {
        descend(&format!("{path}{{}}"), value, check);
    }
}

fn is_field(path: &str) -> bool {
    !path.ends_with(['}', ']'])
}

#[test]
fn every_field_is_described() {
    each(|path, schema| {
        let description = schema.description.as_deref().unwrap_or_default();
        assert!(!is_field(path) || description.len() >= 10, "{path} has no description");
    });
}

#[test]
fn every_string_list_and_map_is_bounded() {
    each(|path, schema| {
        let bounded = match schema.type_.as_deref() {
            Some("string") => schema.max_length.is_some() || schema.enum_.is_some(),
            Some("array") => schema.max_items.is_some(),
            Some("object") => schema.additional_properties.is_none() || schema.max_properties.is_some(),
            Some("integer" | "boolean") => true,
            other => panic!("{path} is of type {other:?}"),
        };
        assert!(bounded, "{path} has no bound");
    });
}

#[test]
fn every_number_of_a_spec_has_both_bounds_and_no_unsigned_format() {
    each(|path, schema| {
        assert!(!schema.format.as_deref().unwrap_or_default().starts_with("uint"), "{path}");
        if path.contains(".spec.") && schema.type_.as_deref() == Some("integer") {
            assert!(schema.minimum.is_some() && schema.maximum.is_some(), "{path} has no bounds");
        }
    });
}

#[test]
fn every_list_says_how_it_is_merged() {
    each(|path, schema| {
        assert!(schema.type_.as_deref() != Some("array") || schema.x_kubernetes_list_type.is_some(), "{path} has no list type");
    });
}

#[test]
fn nothing_is_nullable_and_no_enum_holds_null() {
    each(|path, schema| {
        assert_eq!(schema.nullable, None, "{path}");
        assert!(!schema.enum_.iter().flatten().any(|JSON(value)| value.is_null()), "{path}");
    });
}

#[test]
fn list_items_have_no_defaults_and_empty_defaults_are_left_out() {
    each(|path, schema| {
        let Some(JSON(default)) = &schema.default else { return };
        assert!(!path.contains("[]"), "{path} is in a list and has a default");
        assert!(!is_empty(default), "{path}");
    });
}

#[test]
fn rules_are_on_spec_or_below_and_say_what_is_wrong() {
    each(|path, schema| {
        for rule in schema.x_kubernetes_validations.iter().flatten() {
            assert!(path.contains(".spec"), "{path}: a rule at the root can hold up the removal of a finalizer");
            let message = rule.message.as_deref().unwrap_or_default();
            assert!(message.len() > 20, "{path}: {}", rule.rule);
            let field = path.rsplit('.').next().unwrap_or_default();
            let object = matches!(field, "spec" | "credentials" | "defaultOrganization");
            assert!(object || message.contains(field), "{path}: the message does not name the field: {message}");
        }
    });
}

#[test]
fn a_status_is_unseen_until_it_is_reported() {
    each(|path, schema| {
        if path.ends_with(".status") && path.matches('.').count() == 1 {
            assert_eq!(schema.default, Some(JSON(json!({ "observedGeneration": -1 }))), "{path}");
        } else if path.contains(".status.") {
            assert_eq!(schema.default, None, "{path}");
        }
    });
}

#[test]
fn every_kind_has_short_names_a_category_columns_and_no_long_name() {
    for crd in crds() {
        let kind = &crd.spec.names.kind;
        assert_eq!(crd.spec.names.short_names.as_ref().map(Vec::len), Some(1), "{kind}");
        assert_eq!(crd.spec.names.categories, Some(vec!["deskplane".to_owned()]), "{kind}");
        let columns = crd.spec.versions[0].additional_printer_columns.as_ref().expect("columns");
        assert!(columns.iter().any(|column| column.name == "Ready"), "{kind}");
        assert_eq!(columns.last().map(|column| column.name.as_str()), Some("Age"), "{kind}");
    }
}

#[test]
fn descriptions_are_one_line_a_paragraph() {
    assert_eq!(unwrap_lines("one\ntwo\n\nthree"), "one two\n\nthree");
}
