//! Images of every shape: what arrives, and the messages where an image cannot arrive.

mod bombs;
mod corpus;
mod foreign;
mod parts;
mod servers;
