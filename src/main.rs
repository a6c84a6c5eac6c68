//! The `image-syncer` command; everything behind it is the library `image_syncer`.
fn main() -> std::process::ExitCode {
    image_syncer::run(std::env::args_os()).into()
}
