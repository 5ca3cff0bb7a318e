//! Where to compute.

use anyhow::{Result, bail};
use burn::tensor::Device;

use super::names::DeviceName;

/// The device, without autodiff.
#[allow(
    deprecated,
    reason = "burn-ndarray is deprecated but still a backend of burn"
)]
pub fn device(name: DeviceName) -> Result<Device> {
    match name {
        #[cfg(feature = "flex")]
        DeviceName::Flex => Ok(Device::flex()),
        #[cfg(feature = "ndarray")]
        DeviceName::Ndarray => Ok(Device::ndarray()),
        #[cfg(feature = "wgpu")]
        DeviceName::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "vulkan")]
        DeviceName::Vulkan => Ok(Device::vulkan(burn::tensor::DeviceKind::DefaultDevice)),
        #[cfg(feature = "cuda")]
        DeviceName::Cuda => Ok(Device::cuda(0)),
        #[allow(unreachable_patterns, reason = "depends on the features")]
        other => {
            let name = format!("{other:?}").to_lowercase();
            bail!("this build has no {name}: run it with `cargo run --features {name} …`")
        }
    }
}
