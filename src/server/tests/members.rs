//! Operators, departments, widgets, and what is asked of keys.

use super::*;

#[tokio::test]
async fn an_operator_is_made_and_gets_credentials() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    let hash = "sha256$73616c74$13601bda4ea78e55a07b98866d2be6be0744e3866f13c00c811cab608a28f322";
    let mut body = operator("acme-org", "tom");
    body["credentials"] = json!({ "hash": hash, "secretName": "tom-credentials" });
    let made = world.put(&session, "/v1/operators/tom", &body).await.is(200);
    assert_eq!((made.json()["credentials"].as_str(), made.json()["leaving"].as_bool()), (Some("Intended"), Some(false)));
    let path = "/v1/operators/tom/credentials";
    let settled = world.put(&session, path, &json!({ "outcome": "Created", "hash": hash })).await.is(200);
    assert_eq!(settled.json()["credentials"], "Active");
    let read = world.get("/v1/operators/tom").await.is(200);
    assert_eq!((read.json(), read.header("etag")), (settled.json(), settled.header("etag")));
    assert!(!read.body.contains("sha256"), "hashes stay in the store: {read:?}");
    world.put(&session, path, &json!({ "outcome": "Dropped" })).await.is(200);
    let mut taken = operator("acme-org", "tim");
    taken["desired"]["email"] = json!("TOM@acme.example");
    assert_eq!(world.put(&session, "/v1/operators/tim", &taken).await.is(409).problem(), "EmailTaken");
    let nowhere = world.put(&session, "/v1/operators/tim", &operator("nothing", "tim")).await.is(404);
    assert_eq!((nowhere.problem().as_str(), nowhere.json()["parent"].as_str()), ("ParentNotFound", Some("Organization")));
}

#[tokio::test]
async fn departments_and_widgets_are_made_and_read() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    let department = world.get("/v1/departments/acme-dept").await.is(200).json();
    assert_eq!(department["values"]["members"], json!(["acme-org-first"]));
    let widget = world.get("/v1/widgets/acme-web").await.is(200).json();
    assert!(widget["publicKey"].as_str().unwrap().starts_with("wk_"), "{widget}");
    assert_eq!(world.get(format!("/v1/widgets/{}", world.id("acme-web").await)).await.is(200).json(), widget);
    // Each is found where its kind is.
    world.get("/v1/departments/acme-web").await.is(404);
    world.get("/v1/widgets/acme-dept").await.is(404);
}

#[tokio::test]
async fn keys_are_looked_up_deleted_and_erased() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    let turn = |method, path: &str| ask(method, path.to_owned()).turn(&session);
    assert_eq!(world.get("/v1/keys/nothing").await.is(200).json(), json!({ "state": "Unknown" }));
    let present = world.get("/v1/keys/acme-web").await.is(200).json();
    assert_eq!((present["state"].as_str(), present["value"]["kind"].as_str()), (Some("Present"), Some("Widget")));
    world.ask(turn("DELETE", "/v1/keys/acme-web")).await.is(204);
    world.ask(turn("DELETE", "/v1/keys/acme-web")).await.is(204);
    assert_eq!(world.get("/v1/keys/acme-web").await.json(), json!({ "state": "Erased" }));
    assert_eq!(world.put(&session, "/v1/widgets/acme-web", &widget("acme-org")).await.is(410).problem(), "Erased");
    assert_eq!(world.ask(turn("DELETE", "/v1/keys/acme-org")).await.is(422).problem(), "Unsupported");
    assert_eq!(world.ask(turn("DELETE", "/v1/keys/acme-org-first")).await.is(409).problem(), "LastOperator");
    world.ask(turn("POST", "/v1/keys/acme-dept/quarantine")).await.is(204);
    assert_eq!(world.get("/v1/departments/acme-dept").await.json()["quarantined"], true);
    assert_eq!(world.ask(turn("POST", "/v1/keys/acme/erase")).await.is(409).problem(), "InUse");
    while world.ask(turn("POST", "/v1/keys/acme-org/erase")).await.is(200).json()["remaining"] != 0 {}
    while world.ask(turn("POST", "/v1/keys/acme/erase")).await.is(200).json()["remaining"] != 0 {}
    assert_eq!(world.get("/v1/accounts").await.json()["rows"], json!([]));
}

#[tokio::test]
async fn tickets_are_paused_and_dropped() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    world.put(&session, "/v1/accounts/acme", &account("acme", 1)).await.is(200);
    world.put(&session, "/v1/operators/tom", &operator("acme-org", "tom")).await.is(409);
    let ticket = "/v1/keys/tom/ticket";
    world.put(&session, ticket, &json!({ "paused": true })).await.is(204);
    let waiting = world.get("/v1/keys/tom").await.json();
    assert_eq!((waiting["state"].as_str(), waiting["value"]["paused"].as_bool()), (Some("Waiting"), Some(true)));
    world.ask(ask("DELETE", ticket).turn(&session)).await.is(204);
    assert_eq!(world.get("/v1/keys/tom").await.json(), json!({ "state": "Unknown" }));
}

/// A key names one row: one of another kind is refused, and nothing is written.
#[tokio::test]
async fn a_key_is_not_used_for_two_kinds() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    for (path, body) in [
        ("/v1/widgets/acme-dept", widget("acme-org")),
        ("/v1/departments/acme-web", department("acme-org", &[])),
        ("/v1/operators/acme-org", operator("acme-org", "tom")),
        ("/v1/accounts/acme-org", account("acme-org", 3)),
        ("/v1/organizations/acme", organization("acme", "acme")),
    ] {
        let reply = world.put(&session, path, &body).await;
        assert!(reply.status.is_client_error(), "{path}: {reply:?}");
        reply.problem();
    }
    let usage = world.get("/v1/accounts/acme/usage").await.json();
    assert_eq!((usage["total"]["widgets"].as_i64(), usage["total"]["operators"].as_i64()), (Some(1), Some(1)), "{usage}");
}
