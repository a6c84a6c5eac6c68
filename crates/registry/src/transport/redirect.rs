//! Redirects, followed by hand (protocol.md section 2.1).
