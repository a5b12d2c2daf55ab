//! What a checkpoint holds: configuration, tensors and their codings, whatever the file format.
