//! Token requests, and the cache with one refresh at a time.
