//! Tests on a real control plane, in one program, so that it is linked once and they share one API server.

mod cli;
mod controller;
mod controlplane;
mod crds;
mod crds_input;
mod crds_objects;
mod examples;
mod policies;
mod policies_authorization;
mod policies_deletion;
mod policies_finalizer;
mod readme;
mod rules_departments;
mod rules_email;
mod rules_last_operator;
mod rules_queue;
mod rules_restart;
mod rules_seats;
mod rules_unmanaged;
mod rules_widgets;
mod rules_world;
mod smoke;
