//! An API server in memory: enough of one for passes over our kinds, and with faults that no real one produces on demand.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use super::script::{Fault, Script};

const GROUP: &str = "/apis/deskplane.dev/v1alpha1";

/// The objects, by path.
#[derive(Default)]
pub struct Memory(Mutex<State>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    version: u64,
    reads: usize,
    /// Paths and last contents of what changed since the changes were taken.
    changes: Vec<(String, Value, bool)>,
}

impl Memory {
    /// A client of this server whose writes go by the script.
    pub fn client(self: &Arc<Self>, script: &Arc<Script>) -> Client {
        let (memory, script) = (self.clone(), script.clone());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (memory, script) = (memory.clone(), script.clone());
            async move { memory.answer(&script, request).await }
        });
        Client::new(service, "default")
    }

    /// What changed since the last call: the object, and whether it still exists.
    pub fn take_changes(&self) -> Vec<(Value, bool)> {
        std::mem::take(&mut self.lock().changes).into_iter().map(|(_, object, exists)| (object, exists)).collect()
    }

    /// All objects of our kinds.
    pub fn objects(&self) -> Vec<Value> {
        self.lock().objects.iter().filter(|(path, _)| path.starts_with(GROUP)).map(|(_, object)| object.clone()).collect()
    }

    /// All Secrets.
    pub fn secrets(&self) -> Vec<Value> {
        self.lock().objects.iter().filter(|(path, _)| path.contains("/secrets/")).map(|(_, object)| object.clone()).collect()
    }

    /// How often an object was read.
    pub fn reads(&self) -> usize {
        self.lock().reads
    }

    /// A person creates an object.
    pub fn create(&self, kind: &str, namespace: &str, name: &str, spec: &Value) {
        let metadata = if namespace.is_empty() { json!({"name": name}) } else { json!({"name": name, "namespace": namespace}) };
        let object = json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec});
        let collection = Self::collection(kind, namespace);
        assert_eq!(self.lock().post(&collection, object, false).0, 201, "{kind} {name}");
    }

    /// A person changes an object by a JSON Patch.
    pub fn patch(&self, kind: &str, namespace: &str, name: &str, operations: Value) {
        let path = format!("{}/{name}", Self::collection(kind, namespace));
        assert_eq!(self.lock().patch(&path, operations).0, 200, "{kind} {name}");
    }

    /// A person deletes an object.
    pub fn delete(&self, kind: &str, namespace: &str, name: &str) {
        let path = format!("{}/{name}", Self::collection(kind, namespace));
        assert_eq!(self.lock().delete(&path).0, 200, "{kind} {name}");
    }

    fn collection(kind: &str, namespace: &str) -> String {
        let plural = format!("{}s", kind.to_lowercase());
        if namespace.is_empty() { format!("{GROUP}/{plural}") } else { format!("{GROUP}/namespaces/{namespace}/{plural}") }
    }

    async fn answer(&self, script: &Script, request: Request<Body>) -> Result<Response<Body>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().to_owned();
        let dry_run = parts.uri.query().is_some_and(|query| query.contains("dryRun"));
        let body = body.collect_bytes().await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let lost = || std::io::Error::other("the connection was reset");
        let fault = if parts.method == Method::GET { None } else { script.write(&format!("{} {path}", parts.method)) };
        match fault {
            Some(Fault::DieBefore) => return Err(lost()),
            Some(Fault::Refuse(code)) => return Ok(response(code, &refusal(code))),
            None | Some(Fault::DieAfter | Fault::LoseReply) => {}
        }
        let (code, answer) = self.lock().handle(&parts.method, &path, body, dry_run);
        if fault.is_some() { Err(lost()) } else { Ok(response(code, &answer)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn handle(&mut self, method: &Method, path: &str, body: Value, dry_run: bool) -> (u16, Value) {
        self.reads += usize::from(*method == Method::GET);
        match *method {
            Method::GET if path.starts_with("/api/v1/namespaces/") && path.matches('/').count() == 4 => {
                (200, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}}))
            }
            Method::GET => self.objects.get(path).map_or_else(|| (404, refusal(404)), |object| (200, object.clone())),
            Method::POST if path.ends_with("/events") => (201, body),
            Method::POST => self.post(path, body, dry_run),
            Method::PATCH => self.patch(path, body),
            Method::DELETE => self.delete(path),
            _ => (405, refusal(405)),
        }
    }

    fn post(&mut self, collection: &str, mut object: Value, dry_run: bool) -> (u16, Value) {
        let path = format!("{collection}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        if self.objects.contains_key(&path) {
            let mut refusal = refusal(409);
            refusal["reason"] = json!("AlreadyExists");
            return (409, refusal);
        }
        if dry_run {
            return (201, object);
        }
        object["metadata"]["uid"] = json!(format!("uid-{}", self.version));
        object["metadata"]["generation"] = json!(1);
        object["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00Z");
        object["status"] = json!({"observedGeneration": -1});
        (201, self.store(&path, object))
    }

    fn patch(&mut self, path: &str, operations: Value) -> (u16, Value) {
        let path = path.trim_end_matches("/status");
        let Some(mut object) = self.objects.get(path).cloned() else { return (404, refusal(404)) };
        let before = object["spec"].clone();
        // To a real API server's JSON Patch, an absent list of finalizers is null.
        if object["metadata"]["finalizers"].is_null() {
            object["metadata"]["finalizers"] = Value::Null;
        }
        if operations.is_object() {
            // A merge patch: it carries what it expects to find.
            let expected = ["uid", "resourceVersion"].map(|field| &operations["metadata"][field]);
            let found = ["uid", "resourceVersion"].map(|field| &object["metadata"][field]);
            if expected.iter().zip(found).any(|(expected, found)| !expected.is_null() && *expected != found) {
                return (409, refusal(409));
            }
            json_patch::merge(&mut object, &operations);
        } else {
            let operations: json_patch::Patch = serde_json::from_value(operations).expect("a JSON Patch");
            if json_patch::patch(&mut object, &operations).is_err() {
                return (422, refusal(422));
            }
        }
        if object["spec"] != before {
            object["metadata"]["generation"] = json!(object["metadata"]["generation"].as_i64().unwrap_or_default() + 1);
        }
        let terminating = !object["metadata"]["deletionTimestamp"].is_null();
        if terminating && object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            return (200, self.remove(path));
        }
        (200, self.store(path, object))
    }

    fn delete(&mut self, path: &str) -> (u16, Value) {
        let Some(mut object) = self.objects.get(path).cloned() else { return (404, refusal(404)) };
        if object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
            return (200, self.remove(path));
        }
        object["metadata"]["deletionTimestamp"] = json!("2026-01-02T00:00:00Z");
        (200, self.store(path, object))
    }

    fn store(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        // As a real one, which leaves out what is empty.
        if object["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty)
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("finalizers");
        }
        self.objects.insert(path.to_owned(), object.clone());
        self.changes.push((path.to_owned(), object.clone(), true));
        object
    }

    fn remove(&mut self, path: &str) -> Value {
        let object = self.objects.remove(path).unwrap_or_default();
        self.changes.push((path.to_owned(), object.clone(), false));
        object
    }
}

fn refusal(code: u16) -> Value {
    let reason = if code == 404 { "NotFound" } else { "Scripted" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": format!("HTTP {code}")})
}

fn response(code: u16, body: &Value) -> Response<Body> {
    let body = Body::from(serde_json::to_vec(body).expect("JSON"));
    Response::builder().status(code).header("content-type", "application/json").body(body).expect("a response")
}
