#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plugin_registry_testkit::fuzz::upload_state(data));
