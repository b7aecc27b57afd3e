//! Every route with every kind of token: who gets in, who is refused, and who is not even told that something is there.

use std::collections::BTreeSet;

use super::*;
use crate::server::access::Access;
use crate::server::routes;

/// The routes, and who may use them. A route that is added stands here too, or this fails.
const ROUTES: &str = "\
DELETE /v1/keys/{id} Admin
DELETE /v1/keys/{id}/ticket Admin
GET /healthz Open
GET /metrics Open
GET /openapi.json Open
GET /readyz Open
GET /v1/accounts Admin
GET /v1/accounts/{id} Read
GET /v1/accounts/{id}/organizations Read
GET /v1/accounts/{id}/rows Read
GET /v1/accounts/{id}/switchable-organizations Read
GET /v1/accounts/{id}/usage Read
GET /v1/audit ReadQueried
GET /v1/changes Admin
GET /v1/departments/{id} Read
GET /v1/keys/{id} Admin
GET /v1/operators/{id} Read
GET /v1/organizations/{id} Read
GET /v1/organizations/{id}/departments Read
GET /v1/organizations/{id}/operators Read
GET /v1/organizations/{id}/reach Read
GET /v1/organizations/{id}/transcripts Transcripts
GET /v1/organizations/{id}/widgets Read
GET /v1/store Token
GET /v1/wakes Admin
GET /v1/widgets/{id} Read
POST /v1/epochs Admin
POST /v1/keys/{id}/erase Admin
POST /v1/keys/{id}/quarantine Admin
POST /v1/keys/{id}/release Admin
POST /v1/organizations/{id}/transcripts Transcripts
PUT /v1/accounts/{id} Admin
PUT /v1/departments/{id} Admin
PUT /v1/keys/{id}/ticket Admin
PUT /v1/operators/{id} Admin
PUT /v1/operators/{id}/credentials Admin
PUT /v1/organizations/{id} Admin
PUT /v1/organizations/{id}/starter-kit Admin
PUT /v1/widgets/{id} Admin";

#[test]
fn every_route_is_listed_with_who_may_use_it() {
    let rules = routes::table().rules();
    let routes: BTreeSet<_> = rules.all().map(|(path, method, rule)| format!("{method} {path} {:?}", rule.access)).collect();
    assert_eq!(routes.into_iter().collect::<Vec<_>>().join("\n"), ROUTES);
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Nobody,
    Unreadable,
    Revoked,
    Admin,
    OwnAccount,
    OtherAccount,
    OwnTranscripts,
    OtherTranscripts,
}

const ALL: [Who; 8] = [
    Who::Nobody,
    Who::Unreadable,
    Who::Revoked,
    Who::Admin,
    Who::OwnAccount,
    Who::OtherAccount,
    Who::OwnTranscripts,
    Who::OtherTranscripts,
];

/// The refusal, if any.
fn expected(access: Access, who: Who) -> Option<u16> {
    match (access, who) {
        (Access::Open, _) | (_, Who::Admin) => None,
        (_, Who::Nobody | Who::Unreadable | Who::Revoked) => Some(401),
        (Access::Token, _) | (Access::Read | Access::ReadQueried, Who::OwnAccount) | (Access::Transcripts, Who::OwnTranscripts) => None,
        (Access::Read | Access::ReadQueried, Who::OtherAccount) | (Access::Transcripts, Who::OtherTranscripts) => Some(404),
        (Access::Admin | Access::Read | Access::ReadQueried | Access::Transcripts, _) => Some(403),
    }
}

/// Fills the template with something of account `own`, whatever its kind.
async fn fill(world: &World, template: &str, by_id: bool) -> String {
    let key = match template.split('/').nth(2) {
        Some("accounts" | "audit") => "own",
        Some("organizations") => "own-org",
        Some("operators") => "own-org-first",
        Some("departments") => "own-dept",
        Some("widgets") => "own-web",
        _ => "nothing",
    };
    let name = if by_id && key != "nothing" { world.id(key).await } else { key.to_owned() };
    let query = if template == "/v1/audit" { format!("?account={name}") } else { String::new() };
    template.replace("{id}", &name) + &query
}

#[tokio::test]
async fn every_route_with_every_scope() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    for name in ["own", "other"] {
        world.account(&session, name).await;
    }
    let (revoked, secret) = world.store.create_token(&Scope::Admin, "revoked").await.unwrap();
    world.store.revoke_token(&revoked.id).await.unwrap();
    let scope = async |kind: &str, key: &str| world.token(&format!("{kind}:{}", world.id(key).await)).await;
    let tokens = [
        None,
        Some(SecretString::from("dpt_x")),
        Some(secret),
        Some(world.admin.clone()),
        Some(scope("account", "own").await),
        Some(scope("account", "other").await),
        Some(scope("transcripts", "own-org").await),
        Some(scope("transcripts", "other-org").await),
    ];
    let rules = routes::table().rules();
    // Streams would not end by themselves.
    world.stop.cancel();
    for (template, method, rule) in rules.all() {
        for by_id in [false, true] {
            let path = fill(&world, template, by_id).await;
            for (who, token) in ALL.into_iter().zip(&tokens) {
                let ask = token.iter().fold(ask(method, path.as_str()), Ask::token);
                let reply = ask.to(&world.router).await;
                let what = format!("{method} {template} by {who:?}: {reply:?}");
                match expected(rule.access, who) {
                    Some(status) => {
                        assert_eq!(reply.status.as_u16(), status, "{what}");
                        let class = reply.problem();
                        assert_eq!(class, ["CredentialsInvalid", "", "Forbidden", "NotFound"][usize::from(status) - 401], "{what}");
                        assert_eq!(reply.headers.contains_key("www-authenticate"), status == 401, "{what}");
                    }
                    // Without parameters and a body it may be refused all the same, but not for who asks.
                    None => assert!(![401, 403].contains(&reply.status.as_u16()), "{what}"),
                }
            }
        }
    }
}

/// What is not there, and what is there for others, are answered alike, but for the request's id.
#[tokio::test]
async fn what_a_scope_does_not_reach_looks_as_if_it_were_not_there() {
    let world = World::new().await;
    let session = world.begin("owner").await;
    for name in ["own", "other"] {
        world.account(&session, name).await;
    }
    let token = world.token(&format!("account:{}", world.id("own").await)).await;
    let other = world.id("other").await;
    for (there, absent) in [
        (format!("/v1/accounts/{other}"), "/v1/accounts/acct_nothing"),
        ("/v1/accounts/other/usage".to_owned(), "/v1/accounts/nothing/usage"),
        ("/v1/organizations/other-org/operators".to_owned(), "/v1/organizations/nothing/operators"),
        ("/v1/operators/other-org-first".to_owned(), "/v1/operators/nothing"),
        // Of another kind, and of this account.
        ("/v1/operators/own-web".to_owned(), "/v1/operators/nothing"),
    ] {
        let ask = async |path: &str| ask("GET", path).token(&token).to(&world.router).await.is(404);
        let (there, absent) = (ask(&there).await, ask(absent).await);
        let without_id = |reply: &Reply| {
            let mut headers = reply.headers.clone();
            headers.remove("x-request-id");
            headers
        };
        assert_eq!((&there.body, without_id(&there)), (&absent.body, without_id(&absent)));
    }
}

#[tokio::test]
async fn a_token_is_taken_from_one_header_only() {
    let world = World::new().await;
    let path = "/v1/store?owner=owner";
    let token = world.admin.expose_secret();
    for value in [token.to_owned(), format!("Basic {token}"), "Bearer".to_owned(), "Bearer ".to_owned(), format!("Bearer {token}x")] {
        ask("GET", path).with("authorization", value).to(&world.router).await.is(401);
    }
    ask("GET", path).token(&world.admin).token(&world.admin).to(&world.router).await.is(401);
    ask("GET", format!("{path}&access_token={token}")).to(&world.router).await.is(401);
    ask("GET", path).with("authorization", format!("bearer {token}")).to(&world.router).await.is(200);
}

/// A revoked token is refused from the next request on.
#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let world = World::new().await;
    let (info, token) = world.store.create_token(&Scope::Admin, "short-lived").await.unwrap();
    ask("GET", "/v1/accounts").token(&token).to(&world.router).await.is(200);
    world.store.revoke_token(&info.id).await.unwrap();
    ask("GET", "/v1/accounts").token(&token).to(&world.router).await.is(401);
}
