#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sync::fuzzing::classic_files(data));
