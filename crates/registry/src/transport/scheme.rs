//! Which scheme and port an insecure registry answers on (compat.md section 2).
