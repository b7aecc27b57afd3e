//! Salted hashes of generated secrets: passwords of operators, tokens of an account server.
//!
//! `sha256$<salt>$<hash>`, both in hexadecimal. Fast on purpose: there is nothing to guess in 160 random bits or more.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What is kept of a generated secret.
pub fn salted(salt: &[u8], secret: &str) -> String {
    let hash = Sha256::new().chain_update(salt).chain_update(secret.as_bytes()).finalize();
    format!("sha256${}${}", hex(salt), hex(&hash))
}

/// Whether that is what was kept of the secret. How long it takes does not depend on how much of it is right.
pub fn matches(kept: &str, secret: &str) -> bool {
    let salt = kept.split('$').nth(1).and_then(unhex);
    salt.is_some_and(|salt| salted(&salt, secret).as_bytes().ct_eq(kept.as_bytes()).into())
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(|digit| char::from_digit(u32::from(digit), 16)).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: &str = "sha256$73616c74$13601bda4ea78e55a07b98866d2be6be0744e3866f13c00c811cab608a28f322";

    #[test]
    fn the_hash_is_salted_sha256() {
        assert_eq!(salted(b"salt", "password"), KEPT);
    }

    #[test]
    fn only_the_secret_itself_matches() {
        assert!(matches(KEPT, "password"));
        for wrong in ["", "passwor", "password ", "Password"] {
            assert!(!matches(KEPT, wrong), "{wrong}");
        }
        for kept in ["", "sha256", "sha256$", "sha256$7361$", "sha256$736$13601b", "sha256$zz$13601b", &KEPT[..79], "argon2id$73616c74$13"]
        {
            assert!(!matches(kept, "password"), "{kept}");
        }
    }
}
