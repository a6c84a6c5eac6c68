//! TLS profiles and trusted roots.
