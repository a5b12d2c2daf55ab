//! Models from the Hugging Face hub: the cache first, then the network.
//!
//! The cache is the one that Python's `huggingface_hub` keeps, so either finds what the other has fetched.
//!
//! ```no_run
//! use bitkv_hub::{ModelId, Settings, fetch};
//!
//! let id = ModelId::parse("microsoft/bitnet-b1.58-2B-4T")?;
//! let folder = fetch(&id, &Settings::from_env()?, &bitkv_progress::Silent)?;
//! println!("{}", folder.join("config.json").display());
//! # Ok::<(), bitkv_hub::Error>(())
//! ```

#![forbid(unsafe_code)]

mod address;
mod cache;
mod checksum;
mod client;
mod error;
mod fetch;
mod link;
mod lock;
mod metadata;
mod model_id;
mod name;
mod part;
mod patience;
mod settings;
mod transfer;
mod wanted;

pub use error::{Error, Lack, Result};
pub use fetch::fetch;
pub use model_id::ModelId;
pub use settings::{Settings, Token};
