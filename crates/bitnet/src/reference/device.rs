//! The devices on which the reference can run.

use candle_core::Device;

use crate::{Error, Result};

/// A kind of device. This project compiles and tests only the CPU; the others are provided by candle.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DeviceKind {
    /// The CPU.
    #[default]
    Cpu,
    /// The first NVIDIA GPU, in builds with the cargo feature `cuda`.
    Cuda,
    /// The first Apple GPU, in builds with the cargo feature `metal`.
    Metal,
}

impl DeviceKind {
    /// The name of the kind in arguments and cargo features.
    pub fn name(self) -> &'static str {
        match self {
            DeviceKind::Cpu => "cpu",
            DeviceKind::Cuda => "cuda",
            DeviceKind::Metal => "metal",
        }
    }

    /// Opens the first device of this kind.
    ///
    /// # Errors
    /// Fails if the machine has no such device, or the build does not support it.
    pub fn open(self) -> Result<Device> {
        let device = match self {
            DeviceKind::Cpu => Ok(Device::Cpu),
            DeviceKind::Cuda => Device::new_cuda(0),
            DeviceKind::Metal => Device::new_metal(0),
        };
        device.map_err(|source| Error::Device { name: self.name(), source })
    }
}
