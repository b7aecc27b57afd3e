//! Why a request is refused, as `application/problem+json`: whatever goes wrong, the answer says what it is and what to do.

use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::backend::BackendError;
use crate::backend::problem::Problem;
use crate::backend::wire::PROBLEM;
use crate::domain::text::display;

/// What is repeated of a request is cut to this many characters.
const LONGEST: usize = 200;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(Box<Problem>);

/// What a handler returns.
pub type Answer<T> = Result<T, Refusal>;

impl Refusal {
    fn new(status: StatusCode, class: &str, title: impl Into<String>) -> Self {
        Self(Box::new(Problem { class: class.to_owned(), title: title.into(), status: status.as_u16(), ..Problem::default() }))
    }

    /// A value of the request that does not do. `field` is where it stands: `desired.email`, a header's name, `query`.
    pub fn invalid(field: impl AsRef<str>, what: impl AsRef<str>) -> Self {
        Self::malformed(StatusCode::UNPROCESSABLE_ENTITY, field, what)
    }

    /// The same, with a status that says more.
    pub fn malformed(status: StatusCode, field: impl AsRef<str>, what: impl AsRef<str>) -> Self {
        let (field, what) = (display(field.as_ref(), LONGEST), display(what.as_ref(), LONGEST));
        let mut refusal = Self::new(status, "Invalid", format!("{field}: {what}"));
        (refusal.0.field, refusal.0.detail) = (Some(field), Some(what));
        refusal
    }

    /// Nobody whom we know.
    pub fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "CredentialsInvalid", "the request carries no token that is accepted").detail(detail)
    }

    /// Nothing for a token of that scope, whatever there is.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        BackendError::Forbidden(detail.into()).into()
    }

    /// Not there, or not for this token to know of: the two are not to be told apart.
    pub fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "nothing of that id or key is there, or not within the scope of this token")
    }

    /// No such path.
    pub fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", "there is no such path; /openapi.json lists all")
    }

    /// No such method on this path.
    pub fn no_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Unsupported", "this path does not have that method; /openapi.json lists all")
    }

    /// Too much is asked for: again after a while.
    pub fn throttled(status: StatusCode, after: Duration, title: &str) -> Self {
        // Rounded up: who comes back too early is refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        let mut refusal = Self::new(status, "Throttled", title);
        refusal.0.retry_after = Some(seconds.max(1));
        refusal
    }

    /// The client does not send what it announced.
    pub fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "Transient", "the body of the request did not arrive in time; nothing was written")
    }

    /// We failed at something that we cannot name.
    pub fn broken() -> Self {
        let title = "the server failed; its log says more: look before trying again";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "OutcomeUnknown", title)
    }

    /// Adds what the class leaves open.
    #[must_use]
    pub fn detail(mut self, detail: &str) -> Self {
        self.0.detail = Some(detail.to_owned());
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<BackendError> for Refusal {
    fn from(error: BackendError) -> Self {
        Self(Box::new(Problem::from(&error)))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (self.status(), body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if self.status() == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"deskplane\""));
        }
        if let Some(after) = self.0.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(after));
        }
        response
    }
}
