//! Secrets (generated, hashed with a key) and passwords (chosen by people, Argon2id).

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// HMAC-SHA-256 (RFC 2104) of a secret under the gateway's key. A generated secret has 256 bits of entropy, so a
/// fast hash suffices; the key makes a stolen registry worthless without it.
pub fn hash_secret(gateway_key: &[u8; 32], secret: &[u8]) -> [u8; 32] {
    // HMAC takes keys of any length, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(gateway_key) else { return [0; 32] };
    mac.update(secret);
    mac.finalize().into_bytes().into()
}

/// Compares in a time that does not depend on where they differ.
pub fn same_hash(left: &[u8; 32], right: &[u8; 32]) -> bool {
    bool::from(left.ct_eq(right))
}

/// Argon2id with OWASP's second choice of parameters (19 MiB, 2 passes): small enough for a small gateway.
fn argon2() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT)
}

/// The PHC string of a password with a random salt, or `None` if the system gives no random bytes.
pub fn hash_password(password: &str) -> Option<String> {
    let mut salt = [0u8; 16];
    getrandom::fill(&mut salt).ok()?;
    argon2().hash_password_with_salt(password.as_bytes(), &salt).ok().map(|hash| hash.to_string())
}

/// Is it the password of this PHC string? Takes tens of milliseconds: never on a shard's thread.
pub fn verify_password(phc: &str, password: &[u8]) -> bool {
    use argon2::password_hash::phc::PasswordHash;
    PasswordHash::new(phc).is_ok_and(|hash| argon2().verify_password(password, &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_hashed_as_rfc_4231_says() {
        // RFC 4231, test case 2, has the key "Jefe"; keys shorter than a block are padded with zeros (RFC 2104),
        // so it is the same key filled up with zeros to 32 bytes.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let hash = hash_secret(&key, b"what do ya want for nothing?");
        let hex: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        assert!(same_hash(&hash, &hash_secret(&key, b"what do ya want for nothing?")));
        assert!(!same_hash(&hash, &hash_secret(&key, b"something else")));
    }

    #[test]
    fn only_the_right_password_verifies() {
        let phc = hash_password("correct horse").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"));
        assert!(verify_password(&phc, b"correct horse"));
        assert!(!verify_password(&phc, b"battery staple"));
        assert!(!verify_password("not a PHC string", b"correct horse"));
    }
}
