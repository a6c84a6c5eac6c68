//! Which token realm may see a credential (design.md section 4).
