//! Why there is no reply: in words that say what to check.

use std::error::Error;

use crate::backend::BackendError;
use crate::domain::text::display;

use super::reply::Call;

/// Longer texts of a remote side are cut: a certificate brings names along.
const LONGEST: usize = 300;

/// A request that was not sent, or whose reply was lost.
pub(super) fn not_sent_or_lost(at: &str, call: Call, error: &reqwest::Error) -> BackendError {
    let cause = root_cause(error);
    if error.is_builder() {
        return BackendError::Invalid { field: "request".into(), message: cause };
    }
    if error.is_connect() {
        return BackendError::Transient(format!("{at}: {cause}. {}", advice(error)));
    }
    call.lost(format!("{at}: {cause}"))
}

/// The deadline of a call has passed.
pub(super) fn no_answer(at: &str) -> String {
    format!("{at} gives no answer in time")
}

/// What is at the bottom of an error.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let last = causes(error).last().map_or_else(|| "it cannot be asked".to_owned(), ToString::to_string);
    display(&last, LONGEST)
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause: &&'a (dyn Error + 'static)| (*cause).source())
}

fn advice(error: &reqwest::Error) -> &'static str {
    match causes(error).find_map(tls) {
        Some(rustls::Error::InvalidCertificate(_)) => {
            "Is spec.server.caBundle the authority of the server's certificate, and is the certificate for that host?"
        }
        Some(rustls::Error::InvalidMessage(_)) => "What answers there does not speak TLS: check the port of spec.server.url",
        Some(_) => "TLS fails with it: see the server's log",
        None => "Does the server run, and is spec.server.url its address?",
    }
}

/// The TLS error in a cause: it travels inside one of I/O, or two.
fn tls<'a>(mut cause: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    loop {
        if let Some(error) = cause.downcast_ref() {
            return Some(error);
        }
        cause = cause.downcast_ref::<std::io::Error>()?.get_ref()?;
    }
}
