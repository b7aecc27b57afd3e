//! The description of the interface: complete, committed, and true.

use std::collections::BTreeSet;

use super::*;
use crate::server::access::Access;
use crate::server::{document, routes};

fn parsed() -> Value {
    serde_json::from_str(&document()).unwrap()
}

/// Every operation, with its method and path.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(|(method, operation)| (method.to_uppercase(), path.clone(), operation))
    });
    all.collect()
}

#[test]
fn the_committed_document_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == document(), "docs/openapi.json is stale: run `make generate`");
}

#[tokio::test]
async fn the_document_is_served() {
    let world = World::new().await;
    let reply = ask("GET", "/openapi.json").to(&world.router).await.is(200);
    assert_eq!((reply.header("content-type"), reply.json()["openapi"].as_str()), ("application/json", Some("3.1.0")));
    assert_eq!(reply.body, document());
}

#[test]
fn every_operation_is_described_in_full() {
    let document = parsed();
    let rules = routes::table().rules();
    let access: BTreeSet<_> = rules.all().map(|(path, method, rule)| (method.to_owned(), path.to_owned(), rule.access)).collect();
    let operations = operations(&document);
    assert_eq!(operations.len(), access.len());
    let ids: BTreeSet<_> = operations.iter().map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len(), "ids are unique");
    for (method, path, access) in access {
        let operation = &document["paths"][&path][method.to_lowercase()];
        let what = format!("{method} {path}: {operation}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{what}");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{what}");
        let answers: BTreeSet<_> = operation["responses"].as_object().unwrap().keys().map(String::as_str).collect();
        assert!(answers.iter().any(|status| status.starts_with('2')), "{what}");
        let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
        assert!(parameters.iter().all(|parameter| parameter["description"].is_string()), "{what}");
        let named: BTreeSet<_> = parameters.iter().filter(|one| one["in"] == "path").map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(path.contains("{id}"), named.contains("id"), "{what}");
        if access == Access::Open {
            assert_eq!(operation["security"], json!([]), "{what}");
            continue;
        }
        assert_eq!(operation["security"], json!([{ "bearer": [] }]), "{what}");
        assert!(operation["description"].as_str().is_some_and(|text| text.contains("Scope: ")), "{what}");
        let mut expected = vec!["401", "429", "500", "503"];
        if operation.get("requestBody").is_some() {
            expected.extend(["400", "408", "413", "415", "422"]);
        }
        if ["PUT", "DELETE"].contains(&method.as_str()) {
            expected.extend(["403", "404", "409", "410", "412", "422"]);
        }
        let missing: Vec<_> = expected.into_iter().filter(|status| !answers.contains(status)).collect();
        assert!(missing.is_empty(), "{missing:?} {what}");
    }
}

#[test]
fn every_reference_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|inner| references(inner, found));
            }
            Value::Array(items) => items.iter().for_each(|inner| references(inner, found)),
            _ => {}
        }
    }
    let document = parsed();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

/// The bounds that are checked are the bounds that are described.
#[test]
fn texts_in_requests_have_bounds() {
    let document = parsed();
    let schemas = &document["components"]["schemas"];
    for name in ["PutAccount", "PutOrganization", "PutOperator", "PutDepartment", "PutWidget", "TakeEpoch", "CredentialOutcome"] {
        let mut unbounded = Vec::new();
        unbounded_texts(schemas, &schemas[name], name, &mut unbounded);
        assert_eq!(unbounded, Vec::<String>::new());
    }
}

fn unbounded_texts(schemas: &Value, schema: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return unbounded_texts(schemas, &schemas[name], at, found);
    }
    let is_text = schema["type"] == "string" || schema["type"].as_array().is_some_and(|types| types.contains(&json!("string")));
    if is_text && schema.get("enum").is_none() && schema.get("const").is_none() && schema.get("maxLength").is_none() {
        found.push(at.to_owned());
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        unbounded_texts(schemas, inner, &format!("{at}.{name}"), found);
    }
    for list in ["oneOf", "allOf", "anyOf"] {
        for inner in schema[list].as_array().into_iter().flatten() {
            unbounded_texts(schemas, inner, at, found);
        }
    }
    if let Some(items) = schema.get("items") {
        unbounded_texts(schemas, items, &format!("{at}[]"), found);
    }
}
