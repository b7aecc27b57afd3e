//! Rule 10 on the real control plane: credentials in Secrets, crash-safe, and in no other place.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::controller::{Controller, Tenant, condition, http_get, is_current};
use crate::controlplane::{DEADLINE, eventually};
use crate::database::Database;

/// An organization `one`, ready for operators with credentials.
async fn tenant(hint: &str) -> Tenant {
    let tenant = Tenant::new(hint, json!({"seats": 9})).await;
    tenant.account("acme").await;
    tenant.organization("one", "acme").await;
    tenant.ready("Organization", "one").await;
    tenant
}

fn operator(name: &str) -> Value {
    json!({"organizationRef": {"name": "one"}, "email": format!("{name}@x.example"), "displayName": "Tom Tester"})
}

async fn secrets(tenant: &Tenant) -> Api<Secret> {
    Api::namespaced(tenant.plane.client().await, &tenant.namespace)
}

fn field(secret: &Secret, name: &str) -> String {
    let data = secret.data.as_ref().and_then(|data| data.get(name)).unwrap_or_else(|| panic!("no {name}"));
    String::from_utf8(data.0.clone()).expect("UTF-8")
}

async fn store() -> Database {
    Database::of(Controller::shared().await)
}

/// `state hash` of an operator's credentials in the store.
async fn stored(tenant: &Tenant, operator: &str) -> Option<(String, String)> {
    let sql = "SELECT c.state || ' ' || c.hash FROM credentials c JOIN operators o ON o.id = c.operator
        WHERE o.owner_namespace = $1 AND o.owner_name = $2";
    let found = store().await.texts(sql, &[&tenant.namespace, operator]).await;
    found.first().and_then(|row| row.split_once(' ')).map(|(state, hash)| (state.to_owned(), hash.to_owned()))
}

/// Whether a hash `sha256$salt$hash` is that of a password.
pub fn fits(hash: &str, password: &str) -> bool {
    let [algorithm, salt, hash] = hash.split('$').collect::<Vec<_>>().try_into().expect("three parts");
    let salt: Vec<u8> = (0..salt.len()).step_by(2).map(|at| u8::from_str_radix(&salt[at..at + 2], 16).expect("hexadecimal")).collect();
    let digest = Sha256::new().chain_update(&salt).chain_update(password).finalize();
    assert_eq!(algorithm, "sha256");
    assert!(salt.len() >= 16, "a salt worth its name");
    digest.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}")) == hash
}

#[tokio::test]
async fn an_operator_gets_its_credentials_in_a_secret_and_the_store_keeps_a_salted_hash() {
    let tenant = tenant("credentials").await;
    tenant.create("Operator", "tom", operator("tom")).await;
    let mut named = operator("tina");
    named["credentials"] = json!({"secretName": "for-tina"});
    tenant.create("Operator", "tina", named).await;
    let mut passwords = Vec::new();
    for (name, secret_name) in [("tom", "tom-credentials"), ("tina", "for-tina")] {
        let object = tenant.ready("Operator", name).await;
        assert_eq!(object["status"]["credentialsSecretName"], secret_name);
        let secret = secrets(&tenant).await.get(secret_name).await.expect("the Secret");
        assert_eq!(secret.type_.as_deref(), Some("deskplane.dev/credentials"));
        let keys: Vec<_> = secret.data.iter().flatten().map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["loginURL", "password", "username"]);
        assert_eq!(field(&secret, "username"), format!("{name}@x.example"));
        assert_eq!(field(&secret, "loginURL"), "https://chat.example/login");
        let owner = &secret.metadata.owner_references.as_ref().expect("owned")[0];
        assert_eq!((owner.kind.as_str(), json!(owner.uid)), ("Operator", object["metadata"]["uid"].clone()));
        let password = field(&secret, "password");
        assert!(password.len() >= 32, "160 bits in base 32");
        let (state, hash) = stored(&tenant, name).await.expect("a hash");
        assert_eq!(state, "active");
        assert!(fits(&hash, &password) && !hash.contains(&password));
        passwords.push(password);
    }
    assert_ne!(passwords[0], passwords[1]);

    tenant.delete("Operator", "tom").await;
    eventually("the Secret goes with its operator", DEADLINE, async || match secrets(&tenant).await.get_opt("tom-credentials").await {
        Ok(None) => Ok(()),
        other => Err(format!("{:?}", other.map(|found| found.map(|secret| secret.metadata)))),
    })
    .await;
    assert_eq!(stored(&tenant, "tom").await, None);
}

#[tokio::test]
async fn without_credentials_there_is_neither_secret_nor_hash() {
    let tenant = tenant("no-credentials").await;
    tenant.operator("tom", "one").await;
    let tom = tenant.ready("Operator", "tom").await;
    assert!(tom["status"]["credentialsSecretName"].is_null());
    assert!(secrets(&tenant).await.get_opt("tom-credentials").await.unwrap().is_none());
    assert_eq!(stored(&tenant, "tom").await, None);

    tenant.patch("Operator", "tom", json!({"spec": {"credentials": {"mode": "Generate"}}})).await;
    tenant.until("Operator", "tom", "credentials", |it| is_current(it) && it["status"]["credentialsSecretName"] == "tom-credentials").await;
    assert!(stored(&tenant, "tom").await.is_some());
    tenant.patch("Operator", "tom", json!({"spec": {"credentials": {"mode": "None"}}})).await;
    tenant.until("Operator", "tom", "no credentials", |it| is_current(it) && it["status"]["credentialsSecretName"].is_null()).await;
    assert_eq!(stored(&tenant, "tom").await, None, "the old password opens nothing any more");
}

#[tokio::test]
async fn a_secret_that_is_not_ours_is_left_alone_and_credentials_come_once_it_is_gone() {
    let tenant = tenant("foreign-secret").await;
    let foreign = Secret {
        metadata: ObjectMeta { name: Some("tom-credentials".to_owned()), ..ObjectMeta::default() },
        string_data: Some([("password".to_owned(), "theirs".to_owned())].into()),
        ..Secret::default()
    };
    let api = secrets(&tenant).await;
    let before = api.create(&PostParams::default(), &foreign).await.unwrap();
    tenant.create("Operator", "tom", operator("tom")).await;
    let refused = tenant.reason("Operator", "tom", "NameTaken").await;
    let message = condition(&refused, "Ready")["message"].as_str().unwrap();
    assert!(message.contains("Secret \"tom-credentials\""), "{message}");
    assert_eq!(stored(&tenant, "tom").await, None, "the intent is dropped");
    // A second pass over it, which must not take the Secret for its own.
    tenant.patch("Operator", "tom", json!({"spec": {"nickname": "Tommy"}})).await;
    tenant.reason("Operator", "tom", "NameTaken").await;
    assert_eq!(api.get("tom-credentials").await.unwrap(), before);

    api.delete("tom-credentials", &DeleteParams::default()).await.unwrap();
    tenant.ready("Operator", "tom").await;
    let secret = api.get("tom-credentials").await.unwrap();
    assert!(fits(&stored(&tenant, "tom").await.unwrap().1, &field(&secret, "password")));
}

#[tokio::test]
async fn an_intent_that_a_crash_left_ends_in_one_secret_whose_password_counts() {
    let tenant = tenant("crash").await;
    let api = secrets(&tenant).await;
    for name in ["posted", "unposted"] {
        tenant.create("Operator", name, operator(name)).await;
    }
    tenant.ready("Operator", "posted").await;
    tenant.ready("Operator", "unposted").await;
    let posted = api.get("posted-credentials").await.unwrap();
    let unposted = api.get("unposted-credentials").await.unwrap();
    let intended = "UPDATE credentials SET state = 'intended'
        WHERE operator IN (SELECT id FROM operators WHERE owner_namespace = $1 AND owner_name = $2)";
    // As it is when the reply to the POST was lost, and when the POST was never sent.
    store().await.change(intended, &[&tenant.namespace, "posted"]).await;
    api.delete("unposted-credentials", &DeleteParams::default()).await.unwrap();
    store().await.change(intended, &[&tenant.namespace, "unposted"]).await;
    for name in ["posted", "unposted"] {
        eventually("the intent is settled", DEADLINE, async || {
            stored(&tenant, name).await.filter(|(state, _)| state == "active").map(|_| ()).ok_or("not yet")
        })
        .await;
        let secret = api.get(&format!("{name}-credentials")).await.unwrap();
        assert!(fits(&stored(&tenant, name).await.unwrap().1, &field(&secret, "password")), "{name}");
    }
    assert_eq!(api.get("posted-credentials").await.unwrap(), posted, "the first Secret is the one");
    let again = api.get("unposted-credentials").await.unwrap();
    assert_ne!(again.metadata.uid, unposted.metadata.uid);
    assert_ne!(field(&again, "password"), field(&unposted, "password"));
}

#[tokio::test]
async fn no_secret_appears_in_logs_events_status_or_metrics() {
    let tenant = tenant("canary").await;
    tenant.create("Operator", "tom", operator("tom")).await;
    tenant.ready("Operator", "tom").await;
    // Failures say most: a name that is taken, and a credential that comes in a second pass.
    tenant.create("Operator", "second", json!({"organizationRef": {"name": "one"}, "email": "Tom@x.example"})).await;
    tenant.reason("Operator", "second", "EmailTaken").await;
    let controller = Controller::shared().await;
    let secret = secrets(&tenant).await.get("tom-credentials").await.unwrap();
    let password = field(&secret, "password");
    // How a whole Secret would leak: as JSON, its bytes are base64; printed for debugging, they are numbers.
    let encoded = serde_json::to_value(&secret).unwrap()["data"]["password"].as_str().expect("base64").to_owned();
    let numbers = format!("{:?}", password.as_bytes());
    let token = Controller::token(tenant.plane);
    let (_, hash) = stored(&tenant, "tom").await.unwrap();
    assert_ne!(encoded, password);
    let canaries = [&password, &encoded, &numbers, &token, hash.rsplit('$').next().unwrap()];
    let places = [
        ("log", controller.log()),
        ("Events", tenant.plane.kubectl_ok(&["get", "events.events.k8s.io", "-A", "-o", "yaml"])),
        ("objects", tenant.plane.kubectl_ok(&["get", "deskplane", "-n", &tenant.namespace, "-o", "yaml"])),
        ("metrics", http_get(&controller.address().await, "/metrics").1),
    ];
    for (place, text) in places {
        assert!(text.len() > 100, "{place}: something to look at");
        assert!(canaries.iter().all(|canary| canary.len() > 20 && !text.contains(canary)), "{place}");
    }
}
