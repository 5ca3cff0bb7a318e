//! `--device NAME`: where a benchmark runs.

use burn::tensor::Device;

/// The device that `--device` names, without autodiff: `flex` by default; `wgpu`, `vulkan` or `cuda` with that feature of the crate.
pub fn chosen() -> Device {
    match option("--device").as_deref().unwrap_or("flex") {
        "flex" => Device::flex(),
        #[cfg(feature = "wgpu")]
        "wgpu" => Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "vulkan")]
        "vulkan" => Device::vulkan(burn::tensor::DeviceKind::DefaultDevice),
        #[cfg(feature = "cuda")]
        "cuda" => Device::cuda(0),
        other => panic!("no device `{other}`: is it a feature of this build?"),
    }
}

/// The word after an option.
pub fn option(name: &str) -> Option<String> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.nth(1)
}
