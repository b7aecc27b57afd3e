//! Tests on a real control plane, in one program, so that it is linked once and they share one API server.

mod controlplane;
mod readme;
mod smoke;
