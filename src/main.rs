//! The `deskplane` program: parses arguments and calls the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One TLS implementation in the whole program, chosen before anything opens a connection. It fails only when it is chosen already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    deskplane::cli::main(std::env::args_os())
}
