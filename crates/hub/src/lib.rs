//! Models from the Hugging Face hub: the cache first, then the network.
