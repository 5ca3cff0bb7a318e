//! A mask as tensors, on the devices that compute with it.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// What was made of a live set so far, by device: mostly one.
#[derive(Debug, Default)]
pub(super) struct OnDevices {
    dead: Mutex<Vec<(Device, Tensor<1, Bool>)>>,
    positions: Mutex<Vec<(Device, Tensor<1, Int>)>>,
}

impl OnDevices {
    /// True where the weight is dead, so that it can be filled with zeros: a product would keep NaN
    /// and turn dead negative weights into −0.
    pub fn dead(&self, live: &[bool], device: &Device) -> Tensor<1, Bool> {
        made_once(&self.dead, device, |device| dead(live, device))
    }

    /// The live positions.
    pub fn positions(&self, live: &[bool], device: &Device) -> Tensor<1, Int> {
        made_once(&self.positions, device, |device| positions(live, device))
    }
}

/// The live positions of a live set.
pub(super) fn positions(live: &[bool], device: &Device) -> Tensor<1, Int> {
    let positions = live.iter().enumerate();
    let positions: Vec<i64> = positions
        .filter_map(|(position, live)| live.then_some(position as i64))
        .collect();
    let count = [positions.len()];
    Tensor::from_data(TensorData::new(positions, count), device)
}

/// The dead positions of a live set.
pub(super) fn dead(live: &[bool], device: &Device) -> Tensor<1, Bool> {
    let dead: Vec<bool> = live.iter().map(|live| !live).collect();
    Tensor::from_data(TensorData::new(dead, [live.len()]), device)
}

/// The device of tensors that are only made to be written: the host's memory, where there is one.
pub(super) fn for_records() -> Device {
    #[cfg(feature = "flex")]
    return Device::flex();
    #[cfg(not(feature = "flex"))]
    Device::default()
}

fn made_once<T: Clone>(
    made: &Mutex<Vec<(Device, T)>>,
    device: &Device,
    make: impl FnOnce(&Device) -> T,
) -> T {
    let device = device.clone().without_autodiff();
    let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, tensor)) = made.iter().find(|(known, _)| *known == device) {
        return tensor.clone();
    }
    let tensor = make(&device);
    made.push((device, tensor.clone()));
    tensor
}
