//! Pictures of the terminal and of pages are small, and those of the terminal show nothing of the machine on which they
//! were taken.

use std::path::Path;

#[test]
fn are_small_and_say_nothing_of_where_they_were_taken() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images");
    let mut number = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|suffix| suffix == "png") {
            let size = path.metadata().unwrap().len();
            assert!(size < 100 * 1024, "{}: {size} bytes", path.display());
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let at = path.display();
        assert!(text.len() < 100 * 1024, "{at}: {} bytes", text.len());
        assert!(
            text.contains("image-syncer "),
            "{at} does not show the program"
        );
        for private in ["127.0.0.1", "localhost", "/tmp", "/home", "error:"] {
            assert!(!text.contains(private), "{at} shows {private}");
        }
        number += 1;
    }
    assert!(number >= 2, "only {number} pictures");
}
