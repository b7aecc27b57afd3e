//! Who may use a route: the one layer that every request passes.
//!
//! A token has a scope, a route says what it does, and [`Scope::allows`] is the rule. What a scope could never do is forbidden. What it
//! could do elsewhere but not here is not found: the same answer as for what does not exist.

use axum::extract::{RawPathParams, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, http};
use secrecy::SecretString;

use crate::domain::access::{Action, Scope};
use crate::store::TokenInfo;

use super::app::{App, Shared};
use super::extract::query_value;
use super::refusal::{Answer, Refusal};

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Anybody, without a token: probes, and the description of the interface.
    Open,
    /// Every token.
    Token,
    /// Who runs the server, and controllers.
    Admin,
    /// Whoever may read what the path's `id` names.
    Read,
    /// Whoever may read the account that the query names; without one, who may read all.
    ReadQueried,
    /// Whoever may read and add transcripts of the organization that the path's `id` names.
    Transcripts,
}

/// Who asks: the public part of the token, and its scope.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) id: String,
    pub(super) scope: Scope,
}

impl From<TokenInfo> for Caller {
    fn from(token: TokenInfo) -> Self {
        Self { id: token.id, scope: token.scope }
    }
}

impl Access {
    /// What it is to do that in an account and an organization.
    fn action<'a>(self, account: &'a str, organization: &'a str) -> Action<'a> {
        match self {
            Self::Open | Self::Token => Action::Identify,
            Self::Admin => Action::Manage,
            Self::Read | Self::ReadQueried => Action::Read { account },
            Self::Transcripts => Action::Transcripts { organization },
        }
    }

    /// Whether a scope could do that at all, in its own account or organization.
    fn conceivable(self, scope: &Scope) -> bool {
        let own = match scope {
            Scope::Admin => "",
            Scope::Account(id) | Scope::Transcripts(id) => id,
        };
        scope.allows(&self.action(own, own))
    }

    /// The scopes that could, in words.
    pub(super) fn scopes(self) -> &'static str {
        match self {
            Self::Open => "none",
            Self::Token => "any",
            Self::Admin => "admin",
            Self::Read | Self::ReadQueried => "admin, or account:<the account's id>",
            Self::Transcripts => "admin, or transcripts:<the organization's id>",
        }
    }
}

/// Lets a request through whose token may make it.
pub(super) async fn guard(State(app): State<Shared>, mut request: Request, next: Next) -> Response {
    let Some(rule) = app.rules().of(&request) else { return no_method(&app, &request) };
    if rule.access == Access::Open {
        return next.run(request).await;
    }
    let caller = match authenticate(&app, request.headers()).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal.into_response(),
    };
    let mut response = match authorize(&app, &caller, rule.access, &mut request).await {
        Ok(()) => {
            request.extensions_mut().insert(caller.clone());
            next.run(request).await
        }
        Err(refusal) => refusal.into_response(),
    };
    // For the log.
    response.extensions_mut().insert(caller);
    response
}

fn no_method(app: &App, request: &Request) -> Response {
    let mut response = Refusal::no_method().into_response();
    if let Ok(methods) = HeaderValue::from_str(&app.rules().methods(request).join(", ")) {
        response.headers_mut().insert(ALLOW, methods);
    }
    response
}

/// Whose token it is.
async fn authenticate(app: &App, headers: &HeaderMap) -> Answer<Caller> {
    let token = bearer(headers)?;
    match app.store().authenticate(&token).await? {
        Some(info) => Ok(info.into()),
        None => Err(Refusal::unauthorized("the token is unknown or revoked; make one with: deskplane server token create")),
    }
}

fn bearer(headers: &HeaderMap) -> Answer<SecretString> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::unauthorized("send one header: Authorization: Bearer dpt_…"));
    };
    let (scheme, token) = value.to_str().ok().and_then(|value| value.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") || token.trim().is_empty() {
        return Err(Refusal::unauthorized("the header Authorization is not: Bearer dpt_…"));
    }
    Ok(SecretString::from(token.trim()))
}

/// Whether the caller may do that, and not too often.
async fn authorize(app: &App, caller: &Caller, access: Access, request: &mut Request) -> Answer<()> {
    app.limits().admit(&caller.id)?;
    let scope = &caller.scope;
    if !access.conceivable(scope) {
        return Err(Refusal::forbidden(format!("a token of the scope {scope} cannot do that; it takes: {}", access.scopes())));
    }
    if matches!(access, Access::Open | Access::Token | Access::Admin) || *scope == Scope::Admin {
        return Ok(());
    }
    let named = match access {
        Access::ReadQueried => query_value(request.uri(), "account"),
        _ => path_value(request).await,
    };
    let Some(named) = named else {
        let what = "name the account that the token is for";
        return Err(Refusal::malformed(http::StatusCode::BAD_REQUEST, "account", what));
    };
    match app.store().locate(&named).await? {
        Some(place) if scope.allows(&access.action(&place.account, place.organization.as_deref().unwrap_or_default())) => Ok(()),
        _ => Err(Refusal::not_found()),
    }
}

async fn path_value(request: &mut Request) -> Option<String> {
    let params = request.extract_parts::<RawPathParams>().await.ok()?;
    params.iter().next().map(|(_, value)| value.to_owned())
}
