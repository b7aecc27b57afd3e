//! What a handler takes from a request, parsed and within its bounds: the path's id, the query, whose turn it is to write, the body.

use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use futures::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::backend::Session;
use crate::backend::wire::{EPOCH, OWNER, STORE};
use crate::domain::etag::Condition;
use crate::domain::json::Object;
use crate::domain::rows::Key;
use crate::store::{Once, Write};

use super::access::Caller;
use super::bounds::{self, Bounded};
use super::conditions;
use super::limits::Room;
use super::refusal::{Answer, Refusal};

/// Names a request, so that its repetition is answered as the first time.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// The largest body, in bytes; transcripts have a limit of their own.
pub(super) const LARGEST_BODY: usize = 1 << 20;

/// The largest body of transcripts, in bytes: it is stored in one transaction.
pub(super) const LARGEST_UPLOAD: usize = 4 << 20;

/// How long a body may take to arrive.
pub(super) const BODY_TIME: Duration = Duration::from_secs(15);

/// The path's `id`: a client key or an external id.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|_| Refusal::malformed(StatusCode::BAD_REQUEST, "path", "is not UTF-8 behind its escapes"))?;
        bounds::key("the id in the path", &id)?;
        Ok(Self(id))
    }
}

/// The path's `id`, where it can only be a client key.
pub(super) struct RowKey(pub(super) Key);

impl<S: Send + Sync> FromRequestParts<S> for RowKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Answer<Self> {
        let Id(id) = Id::from_request_parts(parts, state).await?;
        if bounds::is_external(&id) {
            return Err(Refusal::invalid("the id in the path", "is an id that the store gave; here stands the client's own key"));
        }
        Ok(Self(Key(id)))
    }
}

/// The query. A parameter that nobody reads is refused: it would be taken for one that was.
pub(super) struct Params<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Bounded> FromRequestParts<S> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let refused = |error: axum::extract::rejection::QueryRejection| {
            let text = error.body_text();
            Refusal::malformed(StatusCode::BAD_REQUEST, "query", text.split_once(": ").map_or(text.as_str(), |(_, what)| what))
        };
        let Query(params) = Query::<T>::try_from_uri(&parts.uri).map_err(refused)?;
        params.check("")?;
        Ok(Self(params))
    }
}

/// One parameter of a query, for the layer of access; `None` where there is none, or several.
pub(super) fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    let mut values = pairs.into_iter().filter_map(|(key, value)| (key == name).then_some(value));
    values.next().filter(|_| values.next().is_none())
}

/// Whose turn it is to write, on what condition, and under which idempotency key: from the headers.
pub(super) struct Turn {
    session: Session,
    condition: Option<Condition>,
    once: Option<Once>,
}

impl Turn {
    /// For the store.
    pub(super) fn write(&self) -> Write<'_> {
        Write { session: &self.session, condition: self.condition.as_ref(), once: self.once.as_ref() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Turn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Answer<Self> {
        let session = session(&parts.headers)?;
        let condition = conditions::of_write(&parts.headers)?;
        // Its body, if any, names nothing that the path does not.
        let once = if parts.method == Method::POST { once(parts, &[])? } else { None };
        Ok(Self { session, condition, once })
    }
}

fn session(headers: &HeaderMap) -> Answer<Session> {
    let owner = header(headers, OWNER, "in whose name is written")?;
    let epoch = header(headers, EPOCH, "the epoch that POST /v1/epochs gave")?;
    let store_id = header(headers, STORE, "the id of the store that is meant")?;
    bounds::name(OWNER, owner)?;
    bounds::name(STORE, store_id)?;
    let epoch = epoch.parse().map_err(|_| Refusal::invalid(EPOCH, "is no number"))?;
    Ok(Session { owner: owner.to_owned(), epoch, store_id: store_id.to_owned() })
}

/// The request under its idempotency key, if it has one. `rest` is what makes it what it is besides method and path.
pub(super) fn once(parts: &Parts, rest: &[u8]) -> Answer<Option<Once>> {
    if !parts.headers.contains_key(IDEMPOTENCY_KEY) {
        return Ok(None);
    }
    let key = header(&parts.headers, IDEMPOTENCY_KEY, "a text of your choice")?;
    let caller = parts.extensions.get::<Caller>().ok_or_else(Refusal::broken)?;
    let request = [parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), rest];
    Ok(Some(Once::new(&caller.id, key, request)?))
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str, meaning: &str) -> Answer<&'a str> {
    let mut values = headers.get_all(name).iter();
    match (values.next().map(|value| value.to_str()), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        (None, _) => Err(Refusal::invalid(name, format!("is missing: {meaning}"))),
        _ => Err(Refusal::invalid(name, "stands there twice, or is not ASCII")),
    }
}

/// A body of JSON.
pub(super) struct Body<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Bounded> FromRequest<S> for Body<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let bytes = body(request, "application/json", LARGEST_BODY, BODY_TIME).await?;
        let body: T = parse(&bytes)?;
        body.check("")?;
        Ok(Self(body))
    }
}

/// A body of the type that the route takes, within its limits.
pub(super) async fn body(request: Request, kind: &str, largest: usize, time: Duration) -> Answer<Bytes> {
    content_type(request.headers(), kind)?;
    let room = request.extensions().get::<Room>().cloned();
    timeout(time, read(request.into_body(), largest, room.as_ref())).await.map_err(|_| Refusal::too_slow())?
}

async fn read(body: axum::body::Body, largest: usize, room: Option<&Room>) -> Answer<Bytes> {
    // What says that it is too large is not begun with.
    if body.size_hint().lower() > largest as u64 {
        return Err(too_large(largest));
    }
    let (mut chunks, mut all) = (body.into_data_stream(), Vec::new());
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::malformed(StatusCode::BAD_REQUEST, "body", "ended before it was complete"))?;
        if all.len() + chunk.len() > largest {
            return Err(too_large(largest));
        }
        room.map_or(Ok(()), |room| room.take(chunk.len()))?;
        all.extend_from_slice(&chunk);
    }
    Ok(all.into())
}

fn content_type(headers: &HeaderMap, expected: &str) -> Answer<()> {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    Err(Refusal::malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", format!("must be {expected}")))
}

/// A body over its limit.
fn too_large(limit: usize) -> Refusal {
    Refusal::malformed(StatusCode::PAYLOAD_TOO_LARGE, "body", format!("is larger than {limit} bytes; send less at a time"))
}

/// A value from JSON. Text that is no JSON is malformed; JSON that is not what the route takes is invalid, and the field is named.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Answer<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let Object(value) = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let (path, error) = (error.path().to_string(), error.into_inner());
        // A number where one of several names is expected passes for an error of syntax: whether it is one, the text itself tells.
        if error.is_data() || serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
            return Refusal::invalid(if path == "." { "body" } else { &path }, error.to_string());
        }
        Refusal::malformed(StatusCode::BAD_REQUEST, "body", format!("is no JSON: {error}"))
    })?;
    json.end().map_err(|_| Refusal::malformed(StatusCode::BAD_REQUEST, "body", "goes on after the JSON"))?;
    Ok(value)
}
