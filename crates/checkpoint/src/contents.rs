//! Lists the contents of a checkpoint, tensor by tensor.

use std::collections::HashMap;

use crate::{Checkpoint, Linear, Result, StoredTensor};

/// The tensors of a checkpoint, and the layers that cannot be read.
pub struct Contents {
    /// The tensors in file order.
    pub tensors: Vec<ListedTensor>,
    /// For each linear layer that the configuration requires but that cannot be read, a sentence that says
    /// why.
    pub unreadable: Vec<String>,
}

/// A tensor, and the linear layer that it belongs to.
pub struct ListedTensor {
    /// The tensor as it is stored.
    pub stored: StoredTensor,
    /// The linear layer, if the tensor holds the weights of a ternary one, and the number of its weights that
    /// are -1, 0, 1 and invalid. The counts are 0 unless they were requested.
    pub linear: Option<(Linear, [u64; 4])>,
}

impl Checkpoint {
    /// Lists all tensors. With `count_codes`, the codes of every ternary layer are counted, which reads all
    /// weights.
    ///
    /// # Errors
    /// Returns an error if the list of tensors is damaged. A layer that cannot be read is listed in
    /// [`Contents::unreadable`] instead.
    pub fn contents(&self, count_codes: bool) -> Result<Contents> {
        let (mut linears, mut unreadable) = (HashMap::new(), Vec::new());
        for shape in self.config().all_linears() {
            match self.linear(&shape) {
                // The weights of a layer in full precision have no codes.
                Ok(linear) if !linear.is_ternary() => linear.bytes().release(),
                Ok(linear) => drop(linears.insert(linear.stored().name.clone(), linear)),
                Err(error) => unreadable.push(error.to_string()),
            }
        }
        let list = |stored: StoredTensor| {
            let linear = linears.remove(&stored.name).map(|linear| {
                let histogram = if count_codes { linear.histogram() } else { [0; 4] };
                linear.bytes().release();
                (linear, histogram)
            });
            ListedTensor { stored, linear }
        };
        Ok(Contents { tensors: self.tensors()?.into_iter().map(list).collect(), unreadable })
    }
}
