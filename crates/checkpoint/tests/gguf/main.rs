//! GGUF files: every architecture and type there and back, layouts, real and hostile containers.

mod damage;
mod layouts;
mod metadata;
mod model;
mod official;
mod raw;
mod read;
mod round_trip;
mod seeds;
