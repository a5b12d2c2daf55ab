//! Fuzzes `bitkv_fuzz`'s target `templates`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bitkv_fuzz::read("templates", input));
