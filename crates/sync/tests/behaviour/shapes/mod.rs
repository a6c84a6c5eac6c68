//! Images of every shape: what arrives, and what is said where it cannot.

mod corpus;
mod parts;
mod world;
