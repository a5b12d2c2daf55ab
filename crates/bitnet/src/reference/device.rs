//! Where the reference computes.

use candle_core::Device;

use crate::{Error, Result};

/// A kind of device. This project compiles and tests the CPU only; the others are candle's.
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
    /// Its name in arguments and cargo features.
    pub fn name(self) -> &'static str {
        match self {
            DeviceKind::Cpu => "cpu",
            DeviceKind::Cuda => "cuda",
            DeviceKind::Metal => "metal",
        }
    }

    /// The device.
    ///
    /// # Errors
    /// When the machine has none, or the build does not support it.
    pub fn open(self) -> Result<Device> {
        let device = match self {
            DeviceKind::Cpu => Ok(Device::Cpu),
            DeviceKind::Cuda => Device::new_cuda(0),
            DeviceKind::Metal => Device::new_metal(0),
        };
        device.map_err(|source| Error::Device { name: self.name(), source })
    }
}
