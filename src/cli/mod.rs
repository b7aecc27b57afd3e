//! The verbs of the `deskplane` program, one file each.

pub mod manifests;
