//! Tasks of a release that need code.

mod arguments;
pub mod container_image;

pub use arguments::{ImageArguments, Task};
