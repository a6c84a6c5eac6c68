#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| image_syncer::fuzzing::hooks(data));
