//! Strings from users: folded for comparison, stripped and cut for display.

/// The form in which e-mail addresses are compared: without surrounding white space, in lower case (Unicode, not the database's).
pub fn fold_email(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A user's string for a message: control and bidirectional formatting characters removed, cut to `max` characters.
pub fn display(text: &str, max: usize) -> String {
    let mut clean = text.chars().filter(|&c| !c.is_control() && !is_bidi_control(c));
    let mut shown: String = clean.by_ref().take(max).collect();
    if clean.next().is_some() {
        shown.pop();
        shown.push('…');
    }
    shown
}

fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{061C}')
}
