//! Probes, metrics, request ids, the log.

use super::*;

#[tokio::test]
async fn probes_and_metrics_need_no_token() {
    let world = World::new().await;
    for (path, body) in [("/healthz", "ok"), ("/readyz", "ok")] {
        assert_eq!(ask("GET", path).to(&world.router).await.is(200).body, body);
    }
    world.get("/v1/accounts/somebody@acme.example").await;
    world.get("/v1/accounts/acme?owner=secret").await;
    world.get("/nowhere/at/all").await.is(404);
    ask("BREW", "/coffee").to(&world.router).await.is(404);
    let metrics = ask("GET", "/metrics").to(&world.router).await.is(200).body;
    let has = |line: &str| assert!(metrics.lines().any(|one| one == line), "{line}\n{metrics}");
    has(r#"deskplane_server_requests_total{route="/v1/accounts/{id}",method="GET",status="4xx"} 2"#);
    has(r#"deskplane_server_requests_total{route="unknown",method="other",status="4xx"} 1"#);
    has(r#"deskplane_server_request_seconds_count{route="/healthz",method="GET"} 1"#);
    has("deskplane_server_requests_in_flight 1");
    for secret in ["somebody", "secret", "nowhere", "BREW"] {
        assert!(!metrics.contains(secret), "{secret}\n{metrics}");
    }
}

#[tokio::test]
async fn every_answer_carries_the_id_of_its_request() {
    let world = World::new().await;
    let with = async |id: &str| ask("GET", "/healthz").with("x-request-id", id).to(&world.router).await.header("x-request-id").to_owned();
    assert_eq!(with("trace-1.2_3").await, "trace-1.2_3");
    for replaced in ["", "a b", "a\"b", &"x".repeat(65)] {
        assert_eq!(with(replaced).await.len(), 16, "{replaced}");
    }
    let ids = [ask("GET", "/nowhere").to(&world.router).await, ask("GET", "/v1/accounts").to(&world.router).await];
    assert_ne!(ids[0].header("x-request-id"), ids[1].header("x-request-id"));
}

/// The database is closed under the server: it says so, and does not fail.
#[tokio::test]
async fn a_store_that_is_gone_is_an_answer() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    world.store.close().await;
    assert_eq!(world.get("/readyz").await.is(503).body, "the store does not answer");
    world.get("/healthz").await.is(200);
    for path in ["/v1/accounts", "/v1/keys/acme", "/v1/store?owner=owner"] {
        assert_eq!(world.get(path).await.is(503).problem(), "Transient");
    }
    world.put(&session, "/v1/accounts/acme", &account("acme", 1)).await.is(503).problem();
}
