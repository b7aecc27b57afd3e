//! Tests on a real control plane, in one program, so that it is linked once and they share one API server.

mod cli;
mod controller;
mod controlplane;
mod counting;
mod counts;
mod crds;
mod crds_input;
mod crds_objects;
mod database;
mod life;
mod policies;
mod policies_authorization;
mod policies_deletion;
mod policies_finalizer;
mod readme;
mod references;
mod rules_credentials;
mod rules_drift;
mod rules_organizations;
mod rules_seats;
mod smoke;
mod status;
