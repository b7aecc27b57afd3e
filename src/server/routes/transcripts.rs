//! Transcripts of one organization: organizations are separate, so there is no listing over several.

use std::time::Duration;

use axum::Json;
use axum::extract::{FromRequest, Request, State};
use axum::http::StatusCode;
use utoipa_axum::routes;

use crate::backend::wire::{NDJSON, Transcripts, TranscriptsStored};
use crate::domain::transcript::Transcript;
use crate::server::access::Access;
use crate::server::app::Shared;
use crate::server::extract::{self, Id, LARGEST_UPLOAD, Params};
use crate::server::limits::Pace;
use crate::server::refusal::{Answer, Refusal};
use crate::server::table::Table;

use super::{IdPath, Once, Paging};

/// How long an upload may take to arrive.
const UPLOAD_TIME: Duration = Duration::from_mins(1);

/// Adds the routes.
pub(super) fn routes(table: Table) -> Table {
    table.paced(Access::Transcripts, Pace::Upload, routes!(add)).route(Access::Transcripts, routes!(list))
}

/// Store transcripts, one JSON value of the schema `Transcript` a line, as the organization's privacy settings let them be stored.
///
/// Up to 500 transcripts and 4 MiB: all of them are stored, or none where it fails. A line that does not do is named. Refused as
/// `Forbidden` where the organization stores none.
#[utoipa::path(post, path = "/v1/organizations/{id}/transcripts", operation_id = "addTranscripts", tag = "transcripts",
    params(IdPath, Once), request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 201, description = "How many were stored.", body = TranscriptsStored)))]
async fn add(State(app): State<Shared>, Id(id): Id, upload: Upload) -> Answer<(StatusCode, Json<TranscriptsStored>)> {
    let stored = app.store().add_transcripts(&id, upload.transcripts, upload.once.as_ref()).await?;
    Ok((StatusCode::CREATED, Json(TranscriptsStored { stored })))
}

/// An organization's transcripts in the order in which they were stored, in pages.
#[utoipa::path(get, path = "/v1/organizations/{id}/transcripts", operation_id = "listTranscripts", tag = "transcripts",
    params(IdPath, Paging), responses((status = 200, description = "A page.", body = Transcripts)))]
async fn list(State(app): State<Shared>, Id(id): Id, Params(paging): Params<Paging>) -> Answer<Json<Transcripts>> {
    let page = app.store().list_transcripts(&id, paging.after().as_ref()).await?;
    Ok(Json(Transcripts { transcripts: page.transcripts, next: page.next.map(|cursor| cursor.0) }))
}

/// Transcripts on their way in, under which idempotency key.
struct Upload {
    transcripts: Vec<Transcript>,
    once: Option<crate::store::Once>,
}

impl<S: Send + Sync> FromRequest<S> for Upload {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Answer<Self> {
        let (parts, body) = request.into_parts();
        let lines = extract::body(Request::from_parts(parts.clone(), body), NDJSON, LARGEST_UPLOAD, UPLOAD_TIME).await?;
        let bad = |bad: crate::domain::transcript::BadLine| Refusal::invalid(format!("line {}", bad.line), bad.unfit.to_string());
        let transcripts = Transcript::parse_lines(&lines).map_err(bad)?;
        Ok(Self { transcripts, once: extract::once(&parts, &lines)? })
    }
}
