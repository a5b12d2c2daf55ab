//! Values that rules keep between the plans of one observation.

use std::{
    any::{Any, TypeId},
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
};

/// Stores one value of each type that a rule asks for, and shares it between all plans of one observation.
///
/// A rule that computes the same thing at every budget, or shares it with other rules, stores it in a type of
/// its own with interior mutability, such as a map of scores by layer:
///
/// ```
/// use std::cell::Cell;
///
/// #[derive(Default)]
/// struct Plans(Cell<usize>);
///
/// let memo = bitkv_evict::Memo::default();
/// memo.get::<Plans>().0.set(1);
/// assert_eq!(memo.get::<Plans>().0.get(), 1);
/// ```
#[derive(Debug, Default)]
pub struct Memo(RefCell<BTreeMap<TypeId, Rc<dyn Any>>>);

impl Memo {
    /// Returns the value of type `T`. The first call creates it by `T::default`.
    pub fn get<T: Any + Default>(&self) -> Rc<T> {
        let stored = self.0.borrow().get(&TypeId::of::<T>()).cloned();
        // A value is only ever stored under its own type, so the downcast succeeds.
        if let Some(value) = stored.and_then(|value| value.downcast().ok()) {
            return value;
        }
        let value = Rc::new(T::default());
        self.0.borrow_mut().insert(TypeId::of::<T>(), Rc::<T>::clone(&value));
        value
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn every_type_has_one_value() {
        let memo = Memo::default();
        memo.get::<Cell<u8>>().set(1);
        memo.get::<Cell<u16>>().set(2);
        assert_eq!((memo.get::<Cell<u8>>().get(), memo.get::<Cell<u16>>().get()), (1, 2));
        assert_eq!(Memo::default().get::<Cell<u8>>().get(), 0);
    }
}
