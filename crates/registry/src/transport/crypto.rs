//! Cryptography of TLS: each part from the library that does it best (docs/performance.md#tls).
//!
//! AWS-LC verifies signatures, since it knows the most curves and is what most registries use themselves. Random
//! numbers and keys for the exchange come from ring: the first random number of AWS-LC takes tens of milliseconds, in
//! which it gathers entropy of its own, and a short run is not much longer. Both encrypt; the processor decides which.

use std::sync::{Arc, LazyLock};

use rustls::SupportedCipherSuite;
use rustls::crypto::{CryptoProvider, aws_lc_rs, ring};

/// The provider of all TLS configurations.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let of_ring = ring::default_provider();
    let own = aws_lc_rs::default_provider();
    let mut kx_groups = of_ring.kx_groups;
    // Those that ring does not know, as the one that resists quantum computers. Servers may still demand them.
    let others = own.kx_groups.into_iter();
    let known: Vec<_> = kx_groups.iter().map(|group| group.name()).collect();
    kx_groups.extend(others.filter(|group| !known.contains(&group.name())));
    let suites = if is_ring_faster() {
        of_ring.cipher_suites
    } else {
        own.cipher_suites
    };
    Arc::new(CryptoProvider {
        cipher_suites: cheapest_first(suites),
        kx_groups,
        secure_random: of_ring.secure_random,
        ..own
    })
});

/// Returns the provider of all TLS configurations.
pub(super) fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}

/// Returns whether ring encrypts faster than AWS-LC here. Both use the vector instructions for AES: ring those of 256
/// bits, and AWS-LC those of 512 bits alone. A processor without the latter (AMD Zen 3, Intel's without AVX-512) gets
/// half the speed from AWS-LC.
fn is_ring_faster() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        let has_short = has!("avx2") && has!("vaes") && has!("vpclmulqdq");
        let has_long = has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl");
        has_short && !has_long
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// Returns `suites` with AES-128 before AES-256, as browsers and Go offer them: it needs four rounds less for each
/// block, and nothing weaker than it protects the keys. A server may choose another one.
fn cheapest_first(mut suites: Vec<SupportedCipherSuite>) -> Vec<SupportedCipherSuite> {
    // Stable: of versions and kinds of certificates, the provider's order is kept.
    suites.sort_by_key(|suite| {
        let name = suite.suite().as_str().unwrap_or_default();
        (
            suite.tls13().is_none(),
            !name.contains("AES_128"),
            name.contains("CHACHA20"),
        )
    });
    suites
}

#[cfg(test)]
mod tests {
    use rustls::CipherSuite::{
        self, TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 as ECDSA_128,
        TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 as ECDSA_256,
        TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 as ECDSA_CHACHA,
        TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256 as RSA_128,
        TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384 as RSA_256,
        TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 as RSA_CHACHA, TLS13_AES_128_GCM_SHA256,
        TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
    };
    use rustls::NamedGroup;

    use super::*;

    #[test]
    fn both_libraries_offer_the_same_suites_in_the_same_order() {
        let expected = [
            TLS13_AES_128_GCM_SHA256,
            TLS13_AES_256_GCM_SHA384,
            TLS13_CHACHA20_POLY1305_SHA256,
            ECDSA_128,
            RSA_128,
            ECDSA_256,
            RSA_256,
            ECDSA_CHACHA,
            RSA_CHACHA,
        ];
        for provider in [aws_lc_rs::default_provider(), ring::default_provider()] {
            let suites = cheapest_first(provider.cipher_suites);
            let names: Vec<CipherSuite> = suites.iter().map(SupportedCipherSuite::suite).collect();
            assert_eq!(names, expected);
        }
    }

    #[test]
    fn every_group_is_offered_once_and_the_cheap_ones_first() {
        let groups: Vec<_> = provider().kx_groups.iter().map(|kx| kx.name()).collect();
        assert_eq!(
            groups,
            [
                NamedGroup::X25519,
                NamedGroup::secp256r1,
                NamedGroup::secp384r1,
                NamedGroup::X25519MLKEM768,
            ]
        );
    }
}
