//! The routes, each with who may use it and how long it may take: what is not declared here is not served.

use std::collections::{BTreeMap, HashMap};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::PathItem;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouter};

use super::access::Access;
use super::app::Shared;
use super::limits::Pace;

/// What holds for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// Who may use it.
    pub(super) access: Access,
    /// How long it may take.
    pub(super) pace: Pace,
}

/// The rules of all routes, by path and method.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules(HashMap<String, BTreeMap<&'static str, Rule>>);

impl Rules {
    /// The rule of a request, unless there is none for its method.
    pub(super) fn of(&self, request: &Request) -> Option<Rule> {
        let path = request.extensions().get::<MatchedPath>()?;
        // Whoever may GET may ask for its head.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        self.0.get(path.as_str())?.get(method.as_str()).copied()
    }

    /// The methods of a request's path.
    pub(super) fn methods(&self, request: &Request) -> Vec<&'static str> {
        let path = request.extensions().get::<MatchedPath>();
        path.and_then(|path| self.0.get(path.as_str())).map(|methods| methods.keys().copied().collect()).unwrap_or_default()
    }

    /// Every route: its path, its method, its rule.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, &'static str, Rule)> {
        self.0.iter().flat_map(|(path, methods)| methods.iter().map(move |(method, rule)| (path.as_str(), *method, *rule)))
    }
}

/// The routes as they are declared.
#[derive(Default)]
pub(super) struct Table {
    routes: OpenApiRouter<Shared>,
    rules: Rules,
}

impl Table {
    /// A route that answers as soon as it can.
    pub(super) fn route(self, access: Access, route: UtoipaMethodRouter<Shared>) -> Self {
        self.paced(access, Pace::Usual, route)
    }

    /// A route that may take its time.
    pub(super) fn paced(mut self, access: Access, pace: Pace, route: UtoipaMethodRouter<Shared>) -> Self {
        for (path, item) in &route.1.paths {
            let methods = self.rules.0.entry(path.clone()).or_default();
            methods.extend(methods_of(item).into_iter().map(|method| (method, Rule { access, pace })));
        }
        self.routes = self.routes.routes(route);
        self
    }

    /// The rules.
    pub(super) fn rules(&self) -> Rules {
        self.rules.clone()
    }

    /// The router, and what the code says of it.
    pub(super) fn into_parts(self) -> (Router<Shared>, OpenApi) {
        self.routes.split_for_parts()
    }
}

fn methods_of(item: &PathItem) -> Vec<&'static str> {
    let operations = [
        ("DELETE", item.delete.is_some()),
        ("GET", item.get.is_some()),
        ("PATCH", item.patch.is_some()),
        ("POST", item.post.is_some()),
        ("PUT", item.put.is_some()),
    ];
    operations.into_iter().filter_map(|(method, has)| has.then_some(method)).collect()
}
