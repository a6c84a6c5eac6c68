//! Callgrind, which counts instructions outside the kernel.

use std::collections::HashSet;
use std::path::Path;

use crate::invocation::Invocation;

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Instructions {
    /// Instructions of all threads.
    pub(crate) all: u64,
    /// Instructions of ciphers and hashes among them; 0 if the program has no symbols.
    pub(crate) cryptography: u64,
}

/// Parts of the names of functions that encrypt, decrypt or hash, in AWS-LC and ring.
const CRYPTOGRAPHY: [&str; 9] = [
    "sha256_block",
    "sha512_block",
    "aesni",
    "aes_gcm",
    "aes_hw",
    "gcm_",
    "ghash",
    "chacha20",
    "poly1305",
];

/// Lets the program of an invocation run under callgrind, which writes a profile to `file`.
pub(crate) fn wrap(invocation: &mut Invocation, file: &Path) {
    let file = format!("--callgrind-out-file={}", file.display());
    let callgrind = ["valgrind", "-q", "--tool=callgrind", &file];
    let callgrind = callgrind.map(str::to_owned);
    invocation.arguments.splice(0..0, callgrind);
}

/// Returns the counts of a profile.
///
/// `fn=(7) name` starts the costs of a function, and `fn=(7)` continues them: `LINE COST`. A `calls=` line is followed
/// by the cost of the callee, which counts elsewhere.
pub(crate) fn counts(profile: &str) -> Option<Instructions> {
    let mut cryptographic = HashSet::new();
    let (mut all, mut cryptography) = (None, 0);
    let (mut counts, mut is_call) = (false, false);
    for line in profile.lines() {
        let function = line.strip_prefix('c').unwrap_or(line).strip_prefix("fn=");
        if let Some(function) = function {
            let (id, name) = function.split_once(' ').unwrap_or((function, ""));
            let name = name.to_ascii_lowercase();
            if CRYPTOGRAPHY.iter().any(|part| name.contains(part)) {
                cryptographic.insert(id);
            }
            if line.starts_with('f') {
                counts = cryptographic.contains(id);
            }
        } else if let Some(total) = line.strip_prefix("totals: ") {
            all = total.trim().parse().ok();
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            if counts && !is_call {
                let cost = line.split(' ').nth(1);
                cryptography += cost.and_then(|c| c.parse::<u64>().ok()).unwrap_or(0);
            }
            is_call = false;
        }
    }
    Some(Instructions {
        all: all?,
        cryptography,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_costs_of_ciphers_and_hashes_are_counted_without_those_of_their_callees() {
        let profile = "events: Ir\nsummary: 1234\n\nfn=(1) main\n0 5\ncfn=(2) aesni_gcm_encrypt\n\
            calls=1 30\n0 1000\n+3 7\n\nfn=(2)\nfi=(9)\n10 900\n* 50\ncfn=(3) memcpy\ncalls=2 0\n-4 50\n\n\
            fn=(3)\n0 50\n\nfn=(4) sha256_block_data_order_avx\n1 200\n\ntotals: 1234\n";
        let expected = Instructions {
            all: 1234,
            cryptography: 1150,
        };
        assert_eq!(counts(profile), Some(expected));
        assert_eq!(counts("events: Ir\n"), None);
    }
}
