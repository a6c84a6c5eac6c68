//! Images of every shape: what arrives, and what is said where it cannot.

mod bombs;
mod corpus;
mod foreign;
mod parts;
mod world;
