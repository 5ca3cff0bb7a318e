//! The basic block and the bottleneck.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::BlockKind;
use crate::models::parts::{self, Fan};
use crate::nn::{BatchNorm, Conv2d};

impl BlockKind {
    /// Channels that a block of some width puts out.
    pub(super) fn outputs(self, width: usize) -> usize {
        match self {
            Self::Basic => width,
            Self::Bottleneck => 4 * width,
        }
    }
}

/// Two or three convolutions with batch norm, and a shortcut around them.
///
/// A bottleneck strides in its 3×3 convolution, as torchvision's and most others' do ("v1.5"), not
/// in its first as the paper's.
#[derive(Module, Debug)]
pub struct ResidualBlock {
    pub(super) conv1: Conv2d,
    pub(super) bn1: BatchNorm,
    pub(super) conv2: Conv2d,
    pub(super) bn2: BatchNorm,
    /// The last convolution of a bottleneck.
    pub(super) conv3: Option<Conv2d>,
    pub(super) bn3: Option<BatchNorm>,
    /// A 1×1 convolution and batch norm, where the shape changes. A pair, so that paths are
    /// torchvision's `downsample.0` and `downsample.1`.
    pub(super) downsample: Option<(Conv2d, BatchNorm)>,
}

impl ResidualBlock {
    pub(super) fn new(
        kind: BlockKind,
        from: usize,
        width: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        let conv =
            |channels, kernel, stride| parts::conv(channels, kernel, stride, Fan::Out, device);
        let to = kind.outputs(width);
        let (conv1, conv2, conv3) = match kind {
            BlockKind::Basic => (
                conv([from, width], 3, stride),
                conv([width, width], 3, 1),
                None,
            ),
            BlockKind::Bottleneck => (
                conv([from, width], 1, 1),
                conv([width, width], 3, stride),
                Some(conv([width, to], 1, 1)),
            ),
        };
        let projected = from != to || stride != 1;
        Self {
            conv1,
            bn1: parts::norm(width, device),
            conv2,
            bn2: parts::norm(width, device),
            bn3: conv3.as_ref().map(|_| parts::norm(to, device)),
            conv3,
            downsample: projected.then(|| (conv([from, to], 1, stride), parts::norm(to, device))),
        }
    }

    /// `[batch, from, h, w]` to `[batch, to, h/stride, w/stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let hidden = self.bn1.forward_relu(self.conv1.forward(input.clone()));
        let hidden = self.conv2.forward(hidden);
        let (hidden, last) = match (&self.conv3, &self.bn3) {
            (Some(conv), Some(bn)) => (conv.forward(self.bn2.forward_relu(hidden)), bn),
            _ => (hidden, &self.bn2),
        };
        let shortcut = match &self.downsample {
            Some((conv, bn)) => bn.forward(conv.forward(input)),
            None => input,
        };
        last.forward_residual_relu(hidden, shortcut)
    }
}
