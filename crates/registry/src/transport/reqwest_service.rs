//! The HTTP service over reqwest.
