//! Lists the contents of a checkpoint, tensor by tensor.

use std::collections::HashMap;

use crate::{Checkpoint, Linear, Result, Stored};

/// The tensors of a checkpoint, and the layers that cannot be read.
pub struct Contents {
    /// In the order of the files.
    pub tensors: Vec<Held>,
    /// Why layers that the configuration asks for cannot be read, a sentence each.
    pub unread: Vec<String>,
}

/// A tensor, and what it is of a model.
pub struct Held {
    /// The tensor as it is stored.
    pub stored: Stored,
    /// The linear layer whose weights it holds, and how many of its codes are -1, 0, 1 and invalid. These are 0 where they
    /// were not asked for.
    pub linear: Option<(Linear, [u64; 4])>,
}

impl Checkpoint {
    /// Lists all tensors. With `count_codes`, the codes of every linear layer are counted, which reads all
    /// weights.
    ///
    /// # Errors
    /// Returns an error if the list of tensors is damaged. A layer that cannot be read is listed in
    /// [`Contents::unreadable`] instead.
    pub fn contents(&self, count_codes: bool) -> Result<Contents> {
        let (mut linears, mut unread) = (HashMap::new(), Vec::new());
        for shape in self.config().all_linears() {
            match self.linear(&shape) {
                Ok(linear) => drop(linears.insert(linear.stored().name.clone(), linear)),
                Err(error) => unread.push(error.to_string()),
            }
        }
        let held = |stored: Stored| {
            let linear = linears.remove(&stored.name).map(|linear| {
                let histogram = if count_codes { linear.histogram() } else { [0; 4] };
                linear.bytes().release();
                (linear, histogram)
            });
            Held { stored, linear }
        };
        Ok(Contents { tensors: self.tensors()?.into_iter().map(held).collect(), unread })
    }
}
