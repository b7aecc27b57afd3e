//! kubeconform over all that the chart renders and over the examples, with the schemas of a real API server, our kinds among them.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::chart::matrix;
use crate::controlplane::ControlPlane;
use crate::helm::{objects, render, tool};

/// The schemas of an API server as files: one with the schemas of each version of a group, and one that leads there for each kind.
async fn schemas(plane: &ControlPlane) -> TempDir {
    let client = plane.client().await;
    let fetch = async |path: &str| -> Value {
        let request = http::Request::get(path).body(Vec::new()).expect("a valid request");
        client.request(request).await.unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, schema: &Value| fs::write(folder.path().join(name), schema.to_string()).expect("write a schema");
    let index = fetch("/openapi/v3").await;
    for (path, entry) in index["paths"].as_object().expect("paths") {
        let document = fetch(entry["serverRelativeURL"].as_str().expect("a URL")).await;
        let Some(mut schemas) = document["components"]["schemas"].as_object().cloned() else { continue };
        let file = format!("{}.json", path.replace('/', "-"));
        for (name, schema) in &mut schemas {
            for kind in schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten() {
                let text = |field: &str| kind[field].as_str().unwrap_or_default().to_owned();
                // kubeconform takes the version for the group of what has none.
                let group = Some(text("group")).filter(|group| !group.is_empty()).unwrap_or_else(|| text("version"));
                let leads = json!({"$ref": format!("{file}#/components/schemas/{name}")});
                write(&format!("{group}-{}-{}.json", text("version"), text("kind").to_lowercase()), &leads);
            }
            make_strict(schema);
        }
        write(&file, &json!({"components": {"schemas": schemas}}));
    }
    folder
}

/// What is not in a schema is not allowed, except where it says so.
fn make_strict(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let open = schema.contains_key("additionalProperties") || schema.contains_key("x-kubernetes-preserve-unknown-fields");
    if schema.contains_key("properties") && !open {
        schema.insert("additionalProperties".to_owned(), json!(false));
    }
    schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).for_each(make_strict);
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            make_strict(inner);
        }
    }
}

/// Runs kubeconform on files, `-` being its input; `Err` has what it complains of.
fn check(schemas: &Path, files: &str, input: &str) -> Result<(), String> {
    let location = format!("{}/{{{{.Group}}}}-{{{{.ResourceAPIVersion}}}}-{{{{.ResourceKind}}}}.json", schemas.display());
    let mut command = Command::new(tool("kubeconform"));
    command.args(["-strict", "-schema-location", &location, files]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run kubeconform");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("write to it");
    let output = child.wait_with_output().expect("its end");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    if output.status.success() { Ok(()) } else { Err(text) }
}

#[tokio::test]
async fn kubeconform_finds_nothing_in_the_chart_whatever_the_values_nor_in_the_examples() {
    let schemas = schemas(ControlPlane::unattended().await).await;
    for values in matrix() {
        assert_eq!(check(schemas.path(), "-", &render("chat", &["--values", &values])), Ok(()), "{values}");
    }
    for folder in ["examples", "crds", "hack/rbac.yaml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        assert_eq!(check(schemas.path(), &path.to_string_lossy(), ""), Ok(()), "{folder}");
    }
    it_would_find_what_is_wrong(schemas.path());
}

/// In an object of each group, what is wrong with it is named.
fn it_would_find_what_is_wrong(schemas: &Path) {
    let values = format!("{}/ci/server-sqlite-values.yaml", crate::helm::CHART);
    let rendered = objects(&render("chat", &["--values", &values]));
    for (kind, pointer, field, value) in [
        ("Deployment", "/spec", "replica", json!(2)),
        ("Deployment", "/spec/template/spec/containers/0", "command", json!("/deskplane")),
        ("Service", "/spec", "port", json!(80)),
        ("ServiceAccount", "/metadata", "label", json!({})),
        ("ClusterRole", "/rules/0", "resource", json!(["plans"])),
        ("AccountBackend", "/spec/server", "uri", json!("https://accounts.example")),
        ("CustomResourceDefinition", "/spec/versions/0", "serves", json!(true)),
        ("ValidatingAdmissionPolicy", "/spec", "failurePolicies", json!("Fail")),
    ] {
        let mut object = rendered.iter().find(|object| object["kind"] == kind).unwrap_or_else(|| panic!("a {kind}")).clone();
        assert_eq!(check(schemas, "-", &object.to_string()), Ok(()), "{kind}");
        object.pointer_mut(pointer).unwrap_or_else(|| panic!("{kind} {pointer}"))[field] = value;
        let complaint = check(schemas, "-", &object.to_string()).expect_err(field);
        assert!(complaint.contains(field), "{kind}: {complaint}");
    }
    let unknown = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "Bot", "metadata": {"name": "a"}});
    assert!(check(schemas, "-", &unknown.to_string()).is_err_and(|complaint| complaint.contains("Bot")));
}
