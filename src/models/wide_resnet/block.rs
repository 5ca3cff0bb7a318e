//! The pre-activation block.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};

use crate::models::parts::{self, Fan};
use crate::nn::{BatchNorm, Conv2d};

/// Batch norm and ReLU *before* each of two 3×3 convolutions, dropout between them, and a shortcut
/// around all.
///
/// With `a = relu(bn1(x))` and `r = conv2(dropout(relu(bn2(conv1(a)))))` the output is `x + r`, or
/// `shortcut(a) + r` with a 1×1 convolution where the number of channels changes.
#[derive(Module, Debug)]
pub struct PreActivationBlock {
    pub(super) bn1: BatchNorm,
    pub(super) conv1: Conv2d,
    pub(super) bn2: BatchNorm,
    pub(super) conv2: Conv2d,
    pub(super) shortcut: Option<Conv2d>,
    pub(super) dropout: Dropout,
}

impl PreActivationBlock {
    /// A block whose chance of dropout has been checked.
    pub(super) fn new(
        [from, to]: [usize; 2],
        stride: usize,
        dropout: f64,
        device: &Device,
    ) -> Self {
        let projected = from != to || stride != 1;
        Self {
            bn1: parts::norm(from, device),
            conv1: parts::conv([from, to], 3, stride, Fan::Out, device),
            bn2: parts::norm(to, device),
            conv2: parts::conv([to, to], 3, 1, Fan::Out, device),
            shortcut: projected.then(|| parts::conv([from, to], 1, stride, Fan::Out, device)),
            dropout: DropoutConfig::new(dropout).init(),
        }
    }

    /// `[batch, from, h, w]` to `[batch, to, h/stride, w/stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let active = self.bn1.forward_relu(input.clone());
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(active.clone()),
            None => input,
        };
        let hidden = self.bn2.forward_relu(self.conv1.forward(active));
        self.conv2.forward(self.dropout.forward(hidden)) + shortcut
    }
}
