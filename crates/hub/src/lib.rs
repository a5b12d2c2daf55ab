//! Gets models from the Hugging Face hub: from the cache if they are there, otherwise over the network.
//!
//! A [`ModelId`] names a repository, a revision and possibly a GGUF file. [`Settings`] contain the folder of
//! the cache, the address of the server and the token to send. [`fetch()`] returns the path of the model. The
//! cache has the layout of Python's `huggingface_hub`, so each program finds the models that the other one
//! downloaded.
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
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

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
mod partial_file;
mod retry;
mod settings;
mod transfer;
mod wanted;

pub use error::{Error, RepositoryFault, Result};
pub use fetch::fetch;
pub use model_id::ModelId;
pub use settings::{Settings, Token};
