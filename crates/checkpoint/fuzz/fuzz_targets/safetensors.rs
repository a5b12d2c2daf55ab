//! Fuzzes the reader of folders. The first two bytes are the length of the configuration; then come the
//! configuration and the weights.

#![no_main]

mod touch;

use bitkv_checkpoint::Checkpoint;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (config, weights) = rest.split_at(length);
    let Ok(config) = std::str::from_utf8(config) else { return };
    match Checkpoint::from_bytes(config, weights.to_vec()) {
        Ok(checkpoint) => touch::read_everything(&checkpoint),
        Err(error) => touch::check_message(&error),
    }
});
