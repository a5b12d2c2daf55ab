//! Tests of GGUF files: every architecture and type is written and read back, layouts are recognised, and
//! valid and hostile containers are read.

mod damage;
mod layouts;
mod metadata;
mod model;
mod official;
mod raw;
mod read;
mod round_trip;
mod seeds;
mod split;
