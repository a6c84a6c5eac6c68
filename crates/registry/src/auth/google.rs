//! Google service accounts, exchanged for access tokens.
