//! Fuzzes `bitkv_fuzz`'s target `safetensors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bitkv_fuzz::read("safetensors", input));
