//! A controller without a store of its own: account servers, with the Secrets of their tokens, which are read from one namespace, and
//! nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::account_server::{AccountServer, Certificates, deskplane};
use crate::controller::{BACKEND, Controller, Options, TenantOn, backend, condition, create, ready, reason_is, until};
use crate::controlplane::ControlPlane;
use crate::policies::CONTROLLER;
use crate::rows::message;

/// Where the controller of these tests looks for Secrets.
const OWN: &str = "deskplane-system";

/// An `AccountBackend` on a server that nobody runs.
fn on_server(secret: &str) -> Value {
    json!({"apiVersion": "deskplane.dev/v1alpha1", "kind": "AccountBackend", "metadata": {"name": "remote"},
        "spec": {"server": {"url": "https://127.0.0.1:1", "credentialsSecretRef": {"name": secret}}, "resyncInterval": "24h"}})
}

async fn secret(plane: &ControlPlane, namespace: &str, name: &str, data: Value) {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let secret = Secret { metadata, string_data: serde_json::from_value(data).unwrap(), ..Secret::default() };
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, namespace);
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

async fn says(plane: &ControlPlane, reason: &str, words: &str) -> Value {
    let said = |object: &Value| condition(object, "Ready")["reason"] == reason && message(object).contains(words);
    until(plane, "AccountBackend", "", "remote", words, said).await
}

#[tokio::test]
async fn without_a_database_a_controller_serves_servers_whose_tokens_it_reads_from_its_own_namespace_alone() {
    let plane = ControlPlane::dedicated().await;
    let args = ["--owner-id", "it", "--lease-namespace", OWN, "--secret-namespace", OWN, "--lease-seconds", "3"];
    let none = |args| Options { url: Some("none"), args, ..Options::default() };

    // Where it may not read them.
    let elsewhere = ["--owner-id", "it", "--lease-namespace", OWN, "--secret-namespace", "default", "--lease-seconds", "3"];
    let mut controller = Controller::launch(&plane, none(&elsewhere)).await;
    controller.logged("this controller leads").await;
    create(&plane, on_server("token")).await;
    says(&plane, "CredentialsInvalid", "cannot be read: secrets \"token\" is forbidden").await;
    assert!(controller.stop().await);
    let mark = plane.audit_mark().await;

    // Without an owner id.
    let mut controller = Controller::start(&plane, none(&args[2..])).await;
    says(&plane, "Unsupported", "--owner-id").await;
    assert!(controller.stop().await);

    let mut controller = Controller::start(&plane, none(&args)).await;
    says(&plane, "CredentialsInvalid", "the Secret \"token\" does not exist in namespace \"deskplane-system\"").await;
    create(&plane, backend(BACKEND)).await;
    let embedded = reason_is(&plane, "AccountBackend", "", BACKEND, "Unsupported").await;
    assert!(message(&embedded).contains("--database none"), "{}", message(&embedded));
    assert_eq!(condition(&embedded, "Stalled")["status"], "True");
    let tenant = TenantOn::on(&plane, "no-database", json!({"seats": 2})).await;
    tenant.account("acme").await;
    let account = tenant.reason("Account", "acme", "Unsupported").await;
    assert!(message(&account).contains("--database"), "{}", message(&account));

    // One of that name elsewhere is not it. One without a token is, and says so at once; and a token counts at once.
    secret(&plane, &tenant.namespace, "token", json!({"token": "dpt_elsewhere"})).await;
    secret(&plane, OWN, "another", json!({"token": "dpt_another"})).await;
    secret(&plane, OWN, "token", json!({"Token": "dpt_canary"})).await;
    says(&plane, "CredentialsInvalid", "has no token").await;
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, OWN);
    let token = Patch::Merge(json!({"stringData": {"token": "dpt_canary\n"}}));
    secrets.patch("token", &PatchParams::default(), &token).await.unwrap();
    let beyond = |object: &Value| condition(object, "Ready")["reason"] != "CredentialsInvalid";
    let remote = until(&plane, "AccountBackend", "", "remote", "has its token", beyond).await;
    assert!(!remote.to_string().contains("dpt_canary"), "{remote}");
    let log = controller.log();
    assert!(!log.contains("dpt_") && !log.contains("panicked"), "{log}");
    assert!(controller.stop().await);

    let asked = plane.requests_since(mark).await.of_user(CONTROLLER).filter(|request| request.resource == "secrets");
    let verbs: BTreeSet<_> = asked.0.iter().map(|request| request.verb.as_str()).collect();
    assert_eq!(verbs, ["list", "watch"].into(), "as the Role of hack/rbac.yaml grants them");
    for request in &asked.0 {
        assert_eq!((request.namespace.as_str(), request.code), (OWN, 200), "{request:?}");
        assert!(request.names_only("token"), "nobody looks at others: {request:?}");
    }
    let lease = plane.kubectl_ok(&["get", "lease", "deskplane-controller", "-n", OWN, "-o", "json"]);
    let lease: Value = serde_json::from_str(&lease).unwrap();
    assert_eq!(lease["spec"]["holderIdentity"], Value::Null, "it was on, and is given up");
}

/// A server with TLS, whose certificate is of an authority of its own: that, in PEM.
async fn server_with_tls(folder: &Path) -> (AccountServer, String) {
    let certificates = Certificates::make(folder, "server");
    certificates.install(folder);
    let file = |name: &str| folder.join(name).display().to_string();
    let args = ["--listen", "127.0.0.1:0", "--tls-cert", &file("tls.crt"), "--tls-key", &file("tls.key")];
    let server = AccountServer::start_with(None, &args, &[]).await;
    (server, std::fs::read_to_string(&certificates.authority).unwrap())
}

/// An `AccountBackend` on a server that runs.
fn on_running(server: &AccountServer, authority: &str) -> Value {
    let port = server.address().rsplit(':').next().unwrap().to_owned();
    let mut backend = on_server("token");
    backend["spec"]["server"]["url"] = json!(format!("https://localhost:{port}"));
    backend["spec"]["server"]["caBundle"] = json!(authority);
    backend
}

async fn put_token(plane: &ControlPlane, token: &str) {
    let secrets: Api<Secret> = Api::namespaced(plane.client().await, OWN);
    let change = Patch::Merge(json!({"stringData": {"token": token}}));
    secrets.patch("token", &PatchParams::default(), &change).await.unwrap();
}

async fn account_on_server(tenant: &TenantOn<'_>) {
    tenant.account_with("acme", json!({"backendRef": {"name": "remote"}})).await;
    tenant.organization("one", "acme").await;
    tenant.operator("tom", "one").await;
}

async fn all_ready(tenant: &TenantOn<'_>) {
    for (kind, name) in [("Account", "acme"), ("Organization", "acme-default"), ("Organization", "one"), ("Operator", "tom")] {
        tenant.ready(kind, name).await;
    }
}

async fn rename(tenant: &TenantOn<'_>, to: &str) {
    tenant.patch("Operator", "tom", json!({"spec": {"displayName": to}})).await;
}

#[tokio::test]
async fn what_is_declared_is_made_in_an_account_server_and_a_changed_token_counts_at_once() {
    let plane = ControlPlane::dedicated().await;
    let folder = tempfile::tempdir().unwrap();
    let (server, authority) = server_with_tls(folder.path()).await;
    let args = ["--owner-id", "it", "--no-lease", "--secret-namespace", OWN];
    let mut controller = Controller::start(&plane, Options { url: Some("none"), args: &args, ..Options::default() }).await;
    let first = server.token("admin");
    let wrong = format!("{}x", first.rsplit_once('_').unwrap().0);
    secret(&plane, OWN, "token", json!({ "token": wrong })).await;
    create(&plane, on_running(&server, &authority)).await;
    let refused = says(&plane, "CredentialsInvalid", "the server refuses the token in the Secret \"token\"").await;
    assert_eq!(condition(&refused, "Stalled")["status"], "True");
    let tenant = TenantOn::on(&plane, "on-server", json!({"seats": 3})).await;
    account_on_server(&tenant).await;
    tenant.reason("Account", "acme", "CredentialsInvalid").await;
    put_token(&plane, &first).await;
    all_ready(&tenant).await;

    // It is there; and who waits for a seat is told by the server when there is one.
    let person = server.over_tls(&first, &folder.path().join("server-ca.crt"));
    let organization = tenant.ready("Organization", "one").await;
    let id = organization["status"]["externalId"].as_str().unwrap();
    let operators = person.get(&format!("/v1/organizations/{id}/operators")).await.is(200);
    assert!(operators.body.contains("tom@x.example") && operators.body.contains("first@one.example"), "{operators:?}");
    tenant.operator("tina", "one").await;
    tenant.reason("Operator", "tina", "SeatLimitExceeded").await;
    tenant.delete("Operator", "tom").await;
    tenant.ready("Operator", "tina").await;
    tenant.delete("Operator", "tina").await;
    tenant.gone("Operator", "tina").await;
    tenant.operator("tom", "one").await;
    tenant.ready("Operator", "tom").await;

    // The token is revoked: that shows though nobody has anything to ask. What is settled stays so; what is to be written waits for
    // another token, and for nothing else.
    assert!(server.verb(&["token", "revoke", first.rsplit_once('_').unwrap().0]).status.success());
    says(&plane, "CredentialsInvalid", "the server refuses the token").await;
    rename(&tenant, "Tom").await;
    tenant.reason("Operator", "tom", "CredentialsInvalid").await;
    tenant.ready("Account", "acme").await;
    let second = server.token("admin");
    put_token(&plane, &second).await;
    tenant.ready("Operator", "tom").await;
    let backend = ready(&plane, "AccountBackend", "", "remote").await;
    assert_eq!(backend["status"]["epoch"], 1, "in the session that there was");

    tenant.erase("Account", "acme").await;
    tenant.gone("Account", "acme").await;
    let person = server.over_tls(&second, &folder.path().join("server-ca.crt"));
    assert_eq!(person.get("/v1/accounts").await.is(200).json()["rows"], json!([]), "nothing is left there");
    for log in [controller.log(), server.log()] {
        for secret in [&first, &second].map(|token| token.rsplit_once('_').unwrap().1) {
            assert!(!log.contains(secret) && !log.contains("panicked"), "{log}");
        }
    }
    assert!(controller.stop().await);
}

/// Ids of the accounts that an owner has in a server.
async fn accounts_of(server: &AccountServer, token: &str, owner: &str) -> Vec<String> {
    let listed = server.person(token).get(&format!("/v1/accounts?owner={owner}")).await.is(200).json();
    let rows = listed["rows"].as_array().unwrap().iter();
    rows.map(|row| row["externalId"].as_str().unwrap().to_owned()).collect()
}

/// Two clusters share a server: the same names, the same people, two owner ids.
#[tokio::test]
async fn two_controllers_with_different_owner_ids_leave_each_others_rows_alone() {
    let server = AccountServer::start().await;
    let token = server.token("admin");
    let (one, other) = (ControlPlane::dedicated().await, ControlPlane::dedicated().await);
    let planes = [(&one, "one"), (&other, "other")];
    let start = async |plane, owner: &str| {
        let args = ["--owner-id", owner, "--no-lease", "--secret-namespace", OWN];
        Controller::start(plane, Options { url: Some("none"), args: &args, ..Options::default() }).await
    };
    let (mut controllers, mut tenants) = (Vec::new(), Vec::new());
    for (plane, owner) in planes {
        controllers.push(start(plane, owner).await);
        secret(plane, OWN, "token", json!({ "token": token })).await;
        let mut backend = on_server("token");
        backend["spec"]["server"]["url"] = json!(format!("http://{}", server.address()));
        backend["spec"]["resyncInterval"] = json!("10s");
        create(plane, backend).await;
        let tenant = TenantOn::on(plane, "shared", json!({"seats": 3})).await;
        account_on_server(&tenant).await;
        tenants.push(tenant);
    }
    for tenant in &tenants {
        all_ready(tenant).await;
    }
    let [of_one, of_other] = [accounts_of(&server, &token, "one").await, accounts_of(&server, &token, "other").await];
    assert_eq!((of_one.len(), of_other.len()), (1, 1));
    assert_ne!(of_one, of_other);

    // One erases its account, and starts anew: the other one's are as they were, over its own comparisons too.
    let before = tenants[1].ready("Operator", "tom").await;
    tenants[0].erase("Account", "acme").await;
    tenants[0].gone("Account", "acme").await;
    assert!(controllers[0].stop().await);
    controllers[0] = start(&one, "one").await;
    account_on_server(&tenants[0]).await;
    all_ready(&tenants[0]).await;
    tokio::time::sleep(crate::controller::QUIET).await;
    assert_eq!(tenants[1].ready("Operator", "tom").await["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"]);
    rename(&tenants[1], "Tom").await;
    tenants[1].ready("Operator", "tom").await;
    assert_eq!(accounts_of(&server, &token, "other").await, of_other);
    assert_ne!(accounts_of(&server, &token, "one").await, of_one, "a new one");
    let epoch = async |owner: &str| server.person(&token).get(&format!("/v1/store?owner={owner}")).await.is(200).json()["epoch"].clone();
    assert_eq!((epoch("one").await, epoch("other").await), (json!(2), json!(1)));

    // Nothing was taken for lost, and nothing is amiss.
    let orphans = deskplane(&["store", "orphans", "--database", server.database(), "-o", "json"]);
    assert_eq!(serde_json::from_slice::<Value>(&orphans.stdout).unwrap(), json!([]), "{orphans:?}");
    let check = deskplane(&["store", "check", "--database", server.database()]);
    assert!(check.status.success(), "{check:?}");
    for mut controller in controllers {
        let log = controller.log();
        assert!(!log.contains("panicked") && !log.contains("fenced"), "{log}");
        assert!(controller.stop().await);
    }
}
