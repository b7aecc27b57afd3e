//! Accounts and organizations: what their routes do, and how they refuse.

use super::*;

#[tokio::test]
async fn an_account_is_made_changed_read_and_listed() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    let made = world.put(&session, "/v1/accounts/acme", &account("acme", 10)).await.is(200);
    let row = made.json();
    assert_eq!((row["kind"].as_str(), row["values"]["limits"]["seats"].as_i64()), (Some("Account"), Some(10)), "{row}");
    assert_eq!(row["tag"], json!({ "kind": "Account", "namespace": "chat", "name": "acme", "key": "acme" }));
    let changed = world.put(&session, "/v1/accounts/acme", &account("acme", 11)).await.is(200);
    assert_ne!(made.header("etag"), changed.header("etag"));
    for id in ["acme", row["externalId"].as_str().unwrap()] {
        let read = world.get(format!("/v1/accounts/{id}")).await.is(200);
        assert_eq!((read.json(), read.header("etag")), (changed.json(), changed.header("etag")));
    }
    let listed = |reply: Reply| reply.is(200).json()["rows"].as_array().unwrap().len();
    assert_eq!(listed(world.get("/v1/accounts?owner=owner").await), 1);
    assert_eq!(listed(world.get("/v1/accounts").await), 1);
    assert_eq!(listed(world.get("/v1/accounts?owner=another").await), 0);
}

#[tokio::test]
async fn what_is_in_an_account_is_listed() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    world.put(&session, "/v1/accounts/acme", &account("acme", 1)).await.is(200);
    let waiting = world.put(&session, "/v1/operators/tom", &operator("acme-org", "tom")).await.is(409);
    assert_eq!(waiting.problem(), "LimitExceeded");
    assert_eq!((waiting.json()["missing"].as_str(), waiting.json()["position"].as_i64()), (Some("Seat"), Some(1)));
    let rows = world.get("/v1/accounts/acme/rows").await.is(200).json();
    let kinds: Vec<_> = rows["rows"].as_array().unwrap().iter().map(|row| row["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["Account", "Organization", "Operator", "Department", "Widget"]);
    assert_eq!(rows["tickets"][0]["tag"]["key"], "tom");
    assert!(rows.get("next").is_none());
    let usage = world.get("/v1/accounts/acme/usage").await.is(200).json();
    assert_eq!((usage["total"]["seatsHeld"].as_i64(), usage["total"]["seatsWaiting"].as_i64()), (Some(1), Some(1)), "{usage}");
    let listed = world.get("/v1/accounts/acme/organizations").await.is(200).json();
    assert_eq!(listed["rows"][0]["tag"]["key"], "acme-org");
    for (listing, key) in [("operators", "acme-org-first"), ("departments", "acme-dept"), ("widgets", "acme-web")] {
        for organization in ["acme-org".to_owned(), world.id("acme-org").await] {
            let listed = world.get(format!("/v1/organizations/{organization}/{listing}")).await.is(200).json();
            assert_eq!(listed["rows"].as_array().unwrap().len(), 1, "{listed}");
            assert_eq!(listed["rows"][0]["tag"]["key"], key);
        }
    }
}

/// Rows without an object are listed too.
#[tokio::test]
async fn unmanaged_rows_are_reached_by_their_ids() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "acme").await;
    let (account, organization) = (world.id("acme").await, world.id("acme-org").await);
    let released = world.ask(ask("POST", "/v1/keys/acme/release").turn(&session)).await.is(200).json();
    assert_eq!(released["rows"], 5);
    assert_eq!(world.get("/v1/keys/acme").await.is(200).json(), json!({ "state": "Released" }));
    assert_eq!(world.get("/v1/accounts/acme").await.is(404).problem(), "NotFound");
    for path in ["", "/organizations", "/usage"] {
        world.get(format!("/v1/accounts/{account}{path}")).await.is(200);
    }
    for path in ["", "/operators", "/departments", "/widgets"] {
        world.get(format!("/v1/organizations/{organization}{path}")).await.is(200);
    }
    assert_eq!(world.get("/v1/accounts").await.is(200).json()["rows"][0]["externalId"], account.as_str());
    assert_eq!(world.put(&session, "/v1/accounts/acme", &account_body()).await.is(410).problem(), "Released");
}

fn account_body() -> Value {
    account("acme", 10)
}

#[tokio::test]
async fn an_organization_comes_with_its_first_operator() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    assert_eq!(world.put(&session, "/v1/organizations/org", &organization("acme", "org")).await.is(404).problem(), "ParentNotFound");
    world.put(&session, "/v1/accounts/acme", &account("acme", 1)).await.is(200);
    let made = world.put(&session, "/v1/organizations/org", &organization("acme", "org")).await.is(200).json();
    assert_eq!(made["organization"]["values"], json!({ "displayName": "Acme Germany", "language": "de" }));
    assert_eq!(made["firstOperator"]["tag"]["key"], "org-first");
    let again = world.put(&session, "/v1/organizations/org", &organization("acme", "org")).await.is(200).json();
    assert!(again.get("firstOperator").is_none());
    let reach = world.get("/v1/organizations/org/reach").await.is(200).json();
    assert_eq!(reach, json!({ "departments": 0, "assigned": false }));
    let kit = world.ask(ask("PUT", "/v1/organizations/org/starter-kit").turn(&session)).await.is(200).json();
    assert_eq!(kit["starterMade"], true);
    // One that is not there is refused alike by whoever reads it.
    for path in ["/v1/organizations/nothing/reach", "/v1/organizations/nothing", "/v1/organizations/nothing/operators"] {
        world.get(path).await.is(404).problem();
    }
}

#[tokio::test]
async fn rows_are_written_and_read_on_conditions() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    let path = "/v1/accounts/acme";
    let put = |name: &'static str, value: String, seats| ask("PUT", path).turn(&session).with(name, value).json(&account("acme", seats));
    let missing = world.ask(put("if-match", "*".to_owned(), 1)).await.is(412);
    assert_eq!(missing.problem(), "PreconditionFailed");
    let first = world.ask(put("if-none-match", "*".to_owned(), 1)).await.is(200).header("etag").to_owned();
    world.ask(put("if-none-match", "*".to_owned(), 2)).await.is(412);
    let second = world.ask(put("if-match", first.clone(), 2)).await.is(200).header("etag").to_owned();
    assert_eq!(world.ask(put("if-match", first.clone(), 3)).await.is(412).problem(), "PreconditionFailed");
    world.ask(put("if-match", format!("{first}, {second}"), 2)).await.is(200);
    world.ask(put("if-match", format!("W/{second}"), 2)).await.is(412);
    world.ask(put("if-match", "what it was".to_owned(), 2)).await.invalid(400, "if-match");
    world.ask(put("if-none-match", second.clone(), 2)).await.invalid(400, "if-none-match");
    assert_eq!(world.get(path).await.json()["values"]["limits"]["seats"], 2, "nothing else was written");
    for unchanged in [second.clone(), format!("{first}, W/{second}"), "*".to_owned()] {
        let reply = world.ask(ask("GET", path).with("if-none-match", unchanged)).await.is(304);
        assert_eq!((reply.body.as_str(), reply.header("etag")), ("", second.as_str()));
    }
    world.ask(ask("GET", path).with("if-none-match", first)).await.is(200);
}

#[tokio::test]
async fn a_deposed_writer_is_told() {
    let world = World::new().await;
    let deposed = world.begin("owner").await;
    let session = world.begin("owner").await;
    let fenced = world.put(&deposed, "/v1/accounts/acme", &account("acme", 1)).await.is(409);
    assert_eq!((fenced.problem().as_str(), fenced.json()["epoch"].as_i64()), ("Fenced", Some(session.epoch)));
    let elsewhere = Session { store_id: "store_x".to_owned(), ..session.clone() };
    let wrong = world.put(&elsewhere, "/v1/accounts/acme", &account("acme", 1)).await.is(409);
    assert_eq!((wrong.problem().as_str(), wrong.json()["storeId"].as_str()), ("WrongStore", Some(session.store_id.as_str())));
    world.put(&session, "/v1/accounts/acme", &account("acme", 1)).await.is(200);
    let other = world.begin("another").await;
    assert_eq!(world.put(&other, "/v1/accounts/acme", &account("acme", 1)).await.is(403).problem(), "Forbidden");
    let identity = world.get("/v1/store?owner=owner").await.is(200).json();
    assert_eq!(identity, json!({ "storeId": session.store_id, "epoch": 2, "version": env!("CARGO_PKG_VERSION") }));
}

#[tokio::test]
async fn what_is_posted_again_is_answered_again() {
    let world = World::new().await;
    let epoch = |key: &str, owner: &str| ask("POST", "/v1/epochs").with("idempotency-key", key).json(&json!({ "owner": owner }));
    let first = world.ask(epoch("one", "owner")).await.is(201);
    let again = world.ask(epoch("one", "owner")).await.is(201);
    assert_eq!(first.json(), again.json());
    assert_eq!(world.ask(epoch("two", "owner")).await.is(201).json()["epoch"], 2);
    let reused = world.ask(epoch("one", "another")).await.is(422);
    assert_eq!((reused.problem().as_str(), reused.json()["field"].as_str()), ("Invalid", Some("Idempotency-Key")));
    // Another token's keys are its own.
    let (_, other) = world.store.create_token(&Scope::Admin, "other").await.unwrap();
    assert_eq!(epoch("one", "owner").token(&other).to(&world.router).await.is(201).json()["epoch"], 3);
    world.ask(epoch("", "owner")).await.is(422);
}
