#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| image_syncer_sync::fuzzing::docker_manifest(data));
