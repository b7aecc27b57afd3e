//! Answers: rows with their entity tags, and pages.

use axum::Json;
use axum::http::header::ETAG;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::backend::Cursor;
use crate::backend::wire::Rows;
use crate::domain::etag::ETag;
use crate::domain::rows::{Row, RowKind};

use super::conditions;
use super::refusal::{Answer, Refusal};

/// A row, with its entity tag.
pub(super) struct Tagged(pub(super) Row);

impl IntoResponse for Tagged {
    fn into_response(self) -> Response {
        let tag = ETag::of(&self.0);
        with_tag(Json(self.0), &tag)
    }
}

fn with_tag(answer: impl IntoResponse, tag: &ETag) -> Response {
    let mut response = answer.into_response();
    // An entity tag is ASCII.
    response.headers_mut().extend(HeaderValue::from_str(&tag.to_string()).ok().map(|tag| (ETAG, tag)));
    response
}

/// The row that was asked for, unless the client has it as it is.
pub(super) fn found(row: Option<Row>, kind: RowKind, headers: &HeaderMap) -> Answer<Response> {
    let row = row.filter(|row| kind == row.fields.kind()).ok_or_else(Refusal::not_found)?;
    let tag = ETag::of(&row);
    Ok(if conditions::unchanged(headers, &tag)? { with_tag(StatusCode::NOT_MODIFIED, &tag) } else { with_tag(Json(row), &tag) })
}

/// A page of rows.
pub(super) fn page((rows, next): (Vec<Row>, Option<Cursor>)) -> Json<Rows> {
    Json(Rows { rows, next: next.map(|cursor| cursor.0) })
}
