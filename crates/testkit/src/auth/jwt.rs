//! Tokens that a real registry can verify: JWTs with the signer's certificate in their header.

use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{CertificateParams, DnType, KeyPair};
use serde_json::{Value, json};

use super::{Scope, TokenRules};

/// A key with a certificate, which signs tokens.
pub(crate) struct Signer {
    key: EcdsaKeyPair,
    certificate: rcgen::Certificate,
}

/// Value of `iss`.
pub(crate) const ISSUER: &str = "testkit";

impl Signer {
    /// Creates a key and a certificate.
    ///
    /// # Panics
    /// If the system has no random numbers.
    pub(crate) fn new() -> Self {
        let made = KeyPair::generate().and_then(|key| {
            let mut params = CertificateParams::new(Vec::new())?;
            params
                .distinguished_name
                .push(DnType::CommonName, "testkit tokens");
            Ok((params.self_signed(&key)?, key))
        });
        let (certificate, key) = made.expect("a key can be made and a certificate signed");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der())
            .expect("a fresh P-256 key is well-formed");
        Self { key, certificate }
    }

    /// Certificate that a registry must trust, as PEM.
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    /// Returns a token, or `None` if signing fails.
    pub(crate) fn sign(
        &self,
        user: Option<&str>,
        scopes: &[Scope],
        rules: &TokenRules,
    ) -> Option<String> {
        let header = json!({
            "typ": "JWT", "alg": "ES256",
            "x5c": [STANDARD.encode(self.certificate.der())],
        });
        let signed = format!("{}.{}", part(&header), part(&claims(user, scopes, rules)));
        let random = SystemRandom::new();
        let signature = self.key.sign(&random, signed.as_bytes()).ok()?;
        let signature = URL_SAFE_NO_PAD.encode(signature.as_ref());
        Some(format!("{signed}.{signature}"))
    }
}

/// Returns header and claims of a token, without a signature.
pub(super) fn unsigned(user: Option<&str>, scopes: &[Scope], rules: &TokenRules) -> String {
    let header = json!({"typ": "JWT", "alg": "none"});
    format!("{}.{}", part(&header), part(&claims(user, scopes, rules)))
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

fn claims(user: Option<&str>, scopes: &[Scope], rules: &TokenRules) -> Value {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    let access: Vec<Value> = scopes
        .iter()
        .map(|scope| json!({"type": scope.kind, "name": scope.name, "actions": scope.actions}))
        .collect();
    json!({
        "iss": ISSUER, "sub": user.unwrap_or_default(), "aud": rules.service,
        "iat": now.as_secs(), "nbf": now.as_secs(), "exp": (now + rules.lifetime).as_secs(),
        "jti": format!("{}", now.as_nanos()),
        "access": access,
    })
}
