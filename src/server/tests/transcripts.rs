//! Transcripts in and out, and who may enter which organization.

use super::*;

const CHAT: &str = r#"{"startedAt":"2026-11-25T10:00:00Z","visitor":{"name":"Vera"},"messages":[{"at":"2026-11-25T10:00:01Z","author":"Visitor","text":"hello"}]}"#;

impl World {
    async fn upload(&self, organization: &str, body: impl Into<Body>) -> Reply {
        self.ask(ask("POST", format!("/v1/organizations/{organization}/transcripts")).text("application/x-ndjson", body)).await
    }
}

async fn world() -> World {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.account(&session, "own").await;
    world
}

#[tokio::test]
async fn transcripts_go_in_by_line_and_come_out_in_pages() {
    let world = world().await;
    let lines = format!("{CHAT}\n\n{CHAT}\n").repeat(75);
    assert_eq!(world.upload("own-org", lines).await.is(201).json(), json!({ "stored": 150 }));
    let first = world.get("/v1/organizations/own-org/transcripts").await.is(200).json();
    assert_eq!(first["transcripts"].as_array().map(Vec::len), Some(100));
    assert_eq!(first["transcripts"][0]["transcript"], serde_json::from_str::<Value>(CHAT).unwrap());
    let next = first["next"].as_str().unwrap();
    let second = world.get(format!("/v1/organizations/own-org/transcripts?cursor={next}")).await.is(200).json();
    assert_eq!((second["transcripts"].as_array().map(Vec::len), second.get("next")), (Some(50), None));
}

#[tokio::test]
async fn a_line_that_does_not_do_is_named_and_nothing_is_stored() {
    let world = world().await;
    let reply = world.upload("own-org", format!("{CHAT}\n{{\"startedAt\":\"canary\"}}\n")).await.invalid(422, "line 2");
    assert!(reply.json()["detail"].as_str().unwrap().starts_with("startedAt: expected a time"), "{reply:?}");
    assert!(!reply.body.contains("canary"), "what was said is not repeated: {reply:?}");
    world.upload("own-org", format!("{CHAT}\n").repeat(501)).await.invalid(422, "transcripts");
    world.upload("own-org", vec![b'x'; (4 << 20) + 1]).await.invalid(413, "body");
    world.ask(ask("POST", "/v1/organizations/own-org/transcripts").text("application/json", CHAT)).await.invalid(415, "content-type");
    world.upload("nothing", CHAT).await.is(404);
    let page = world.get("/v1/organizations/own-org/transcripts").await.is(200).json();
    assert_eq!(page, json!({ "transcripts": [] }));
}

#[tokio::test]
async fn an_upload_under_an_idempotency_key_is_stored_once() {
    let world = world().await;
    let upload = async |body: String| {
        let ask = ask("POST", "/v1/organizations/own-org/transcripts").with("idempotency-key", "one");
        world.ask(ask.text("application/x-ndjson", body)).await
    };
    for _ in 0..2 {
        assert_eq!(upload(format!("{CHAT}\n{CHAT}")).await.is(201).json(), json!({ "stored": 2 }));
    }
    upload(CHAT.to_owned()).await.invalid(422, "Idempotency-Key");
    let page = world.get("/v1/organizations/own-org/transcripts").await.is(200).json();
    assert_eq!(page["transcripts"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_organization_that_stores_none_refuses_and_one_that_anonymizes_forgets() {
    let world = world().await;
    let session = world.begin("owner").await;
    let put = async |privacy: Value| {
        let mut body = organization("own", "own-org");
        body["desired"]["privacy"] = privacy;
        world.put(&session, "/v1/organizations/own-org", &body).await
    };
    put(json!({ "retentionDays": 0 })).await.invalid(422, "desired.privacy.retentionDays");
    put(json!({ "anonymizeVisitors": true })).await.is(200);
    world.upload("own-org", CHAT).await.is(201);
    let page = world.get("/v1/organizations/own-org/transcripts").await.is(200);
    assert!(page.body.contains("hello") && !page.body.contains("Vera"), "{page:?}");
    put(json!({ "storeTranscripts": false })).await.is(200);
    assert_eq!(world.upload("own-org", CHAT).await.is(403).problem(), "Forbidden");
}

#[tokio::test]
async fn the_owner_enters_every_organization_and_an_operator_its_own() {
    let world = world().await;
    let session = world.begin("owner").await;
    world.put(&session, "/v1/organizations/second", &organization("own", "second")).await.is(200);
    let enter = async |email: &str| {
        let reply = world.get(format!("/v1/accounts/own/switchable-organizations?email={email}")).await.is(200).json();
        let organizations = reply["organizations"].as_array().unwrap().iter();
        organizations.map(|one| one["entrance"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(enter("ada@acme.example").await, ["Owner", "Owner"]);
    assert_eq!(enter("second-first@acme.example").await, ["Operator"]);
    assert_eq!(enter("stranger@acme.example").await, Vec::<String>::new());
    let mut promoted = operator("second", "second-first");
    promoted["desired"]["switchOrganizations"] = json!(true);
    world.put(&session, "/v1/operators/second-first", &promoted).await.is(200);
    assert_eq!(enter("second-first@acme.example").await, ["Promoted", "Promoted"]);
    world.get("/v1/accounts/own/switchable-organizations?email=ada").await.invalid(422, "email");
    world.get("/v1/accounts/own/switchable-organizations").await.is(400);
}
