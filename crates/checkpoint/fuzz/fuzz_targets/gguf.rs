//! Fuzzes the GGUF reader: any bytes must give an error of one sentence, or a checkpoint that can be read to
//! the last row.

#![no_main]

mod touch;

use bitkv_checkpoint::{Checkpoint, gguf::ReadOptions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Checkpoint::from_gguf_bytes(bytes.to_vec(), &ReadOptions::default()) {
        Ok(checkpoint) => {
            let gguf = checkpoint.gguf().expect("the checkpoint is a GGUF file");
            gguf.metadata().iter().for_each(|entry| drop(entry.value.to_string()));
            let _ = gguf.vocabulary().map_err(|error| touch::check_message(&error));
            touch::read_everything(&checkpoint);
        }
        Err(error) => touch::check_message(&error),
    }
});
