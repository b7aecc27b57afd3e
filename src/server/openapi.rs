//! The description of the interface, `OpenAPI` 3.1: what the handlers say of themselves, and what holds for all of them.

use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, Info, OpenApi, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use crate::backend::problem::Problem;
use crate::backend::wire::{OWNER, PROBLEM};

use super::access::Access;
use super::described;
use super::routes;
use super::table::{Rule, Rules};

const BEARER: &str = "bearer";

const ABOUT: &str = "The account store behind Deskplane, for controllers, chat products and people. \
    Every request under /v1 carries a token (`deskplane server token create`). Every error is `application/problem+json`: \
    its `type` is a class such as `Invalid` or `LimitExceeded`, its `title` says what is wrong and what to do. \
    Listings are paged: pass `next` as `cursor` until there is none.";

/// An answer that is an error: its status, its name in the document, and when it is given.
type Error = (u16, &'static str, &'static str);

const MALFORMED: Error = (400, "Malformed", "The request cannot be read.");
const UNAUTHORIZED: Error = (401, "Unauthorized", "No token, or one that is malformed, unknown or revoked.");
const FORBIDDEN: Error = (403, "Forbidden", "The token's scope does not reach that far, or the row belongs to another owner.");
const NOT_FOUND: Error = (404, "NotFound", "Nothing of that id or key, or nothing within the token's scope; or the parent has no row.");
const TOO_SLOW: Error = (408, "TooSlow", "The body did not arrive in time.");
const CONFLICT: Error =
    (409, "Conflict", "`EmailTaken`, `NameTaken`, `LimitExceeded` (a ticket is drawn), `LastOperator`, `InUse`, `Fenced` or `WrongStore`.");
const GONE: Error = (410, "Gone", "The key's row was erased or let go: nothing is made for it again.");
const CHANGED: Error = (412, "Changed", "The row is not the one that If-Match names.");
const TOO_LARGE: Error = (413, "TooLarge", "The body is too large.");
const MEDIA_TYPE: Error = (415, "MediaType", "The body is of another type than the route takes.");
const INVALID: Error =
    (422, "Invalid", "`Invalid`: a value does not do, and `field` names it; or `Unsupported`: that cannot be done to a row of this kind.");
const THROTTLED: Error = (429, "Throttled", "Too many requests with this token: again after Retry-After.");
const BROKEN: Error = (500, "Broken", "The server failed.");
const UNAVAILABLE: Error = (503, "Unavailable", "The store does not answer, or the server is full: again later.");

const ERRORS: [Error; 14] = [
    MALFORMED,
    UNAUTHORIZED,
    FORBIDDEN,
    NOT_FOUND,
    TOO_SLOW,
    CONFLICT,
    GONE,
    CHANGED,
    TOO_LARGE,
    MEDIA_TYPE,
    INVALID,
    THROTTLED,
    BROKEN,
    UNAVAILABLE,
];

/// The document, as it is served and committed.
pub fn document() -> String {
    let table = routes::table();
    let rules = table.rules();
    let (_, mut document) = table.into_parts();
    complete(&mut document, &rules);
    // Every value in it is made here: there is nothing that could not be written.
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

fn complete(document: &mut OpenApi, rules: &Rules) {
    document.info = Info::new("Deskplane account server", env!("CARGO_PKG_VERSION"));
    document.info.description = Some(ABOUT.to_owned());
    let components = document.components.get_or_insert_with(Components::new);
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token: dpt_…")).build();
    components.security_schemes.insert(BEARER.to_owned(), RefOr::T(SecurityScheme::Http(scheme)));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    let mut parts = Vec::new();
    Problem::schemas(&mut parts);
    components.schemas.extend(parts);
    described::describe(&mut components.schemas);
    for error in ERRORS {
        components.responses.insert(error.1.to_owned(), RefOr::T(problem(error)));
    }
    for (path, method, rule) in rules.all() {
        let item = document.paths.paths.get_mut(path);
        let operation = item.and_then(|item| match method {
            "GET" => item.get.as_mut(),
            "PUT" => item.put.as_mut(),
            "POST" => item.post.as_mut(),
            _ => item.delete.as_mut(),
        });
        if let Some(operation) = operation {
            complete_operation(operation, rule);
        }
    }
}

fn problem((_, _, when): Error) -> Response {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    ResponseBuilder::new().description(when).content(PROBLEM, content).build()
}

fn complete_operation(operation: &mut Operation, rule: Rule) {
    if rule.access == Access::Open {
        operation.security = Some(Vec::new());
        return;
    }
    operation.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    let scopes = format!("Scope: {}.", rule.access.scopes());
    operation.description = Some(match operation.description.take().filter(|text| !text.is_empty()) {
        Some(text) => format!("{text}\n\n{scopes}"),
        None => scopes,
    });
    for (status, name, _) in errors(operation, rule) {
        operation.responses.responses.entry(status.to_string()).or_insert_with(|| RefOr::Ref(Ref::from_response_name(name)));
    }
}

/// The errors that an operation can end with.
fn errors(operation: &Operation, rule: Rule) -> Vec<Error> {
    let parameters = || {
        operation.parameters.iter().flatten().filter_map(|parameter| match parameter {
            RefOr::T(parameter) => Some(parameter),
            RefOr::Ref(_) => None,
        })
    };
    let mut errors = vec![UNAUTHORIZED, THROTTLED, BROKEN, UNAVAILABLE];
    if rule.access != Access::Token {
        errors.push(FORBIDDEN);
    }
    if parameters().next().is_some() {
        errors.extend([MALFORMED, INVALID]);
    }
    if parameters().any(|parameter| parameter.parameter_in == ParameterIn::Path) {
        errors.push(NOT_FOUND);
    }
    if parameters().any(|parameter| parameter.name.eq_ignore_ascii_case(OWNER)) {
        errors.extend([CONFLICT, GONE, CHANGED]);
    }
    if operation.request_body.is_some() {
        errors.extend([MALFORMED, TOO_SLOW, TOO_LARGE, MEDIA_TYPE, INVALID]);
    }
    errors
}
