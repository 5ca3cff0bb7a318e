//! The networks: plain modules, which know nothing of sparsity. The convolutional one is made of `zosam::nn`'s layers, so that dead weights cost nothing;
//! the LSTM is burn's own.

use burn::module::Module;
use burn::nn::conv::Conv1dConfig;
use burn::nn::{BatchNormConfig, LinearConfig, Lstm, LstmConfig, PaddingConfig1d};
use burn::tensor::{Device, Tensor};
use zosam::nn::{BatchNorm, Conv1d, Linear};

const CLASSES: usize = 10;

/// What the program needs of a network.
pub trait Network: Module + 'static {
    fn new(width: usize, device: &Device) -> Self;

    /// Sequences `[batch, 40]` to logits `[batch, 10]`.
    fn logits(&self, sequences: Tensor<2>) -> Tensor<2>;
}

/// Three convolutions, each of which halves the length, and a linear layer.
#[derive(Module, Debug)]
pub struct ConvNet {
    convs: Vec<Conv1d>,
    norms: Vec<BatchNorm>,
    output: Linear,
}

impl Network for ConvNet {
    fn new(width: usize, device: &Device) -> Self {
        let conv = |channels_in, kernel: usize| {
            let config = Conv1dConfig::new(channels_in, width, kernel)
                .with_stride(2)
                .with_padding(PaddingConfig1d::Explicit(kernel / 2, kernel / 2))
                .with_bias(false);
            Conv1d::new(&config, device)
        };
        Self {
            convs: vec![conv(1, 5), conv(width, 3), conv(width, 3)],
            norms: (0..3)
                .map(|_| BatchNorm::new(&BatchNormConfig::new(width), device))
                .collect(),
            // 40 numbers, halved three times.
            output: Linear::new(&LinearConfig::new(5 * width, CLASSES), device),
        }
    }

    fn logits(&self, sequences: Tensor<2>) -> Tensor<2> {
        let layers = self.convs.iter().zip(&self.norms);
        let hidden = layers.fold(sequences.unsqueeze_dim::<3>(1), |hidden, (conv, norm)| {
            norm.forward_relu(conv.forward(hidden))
        });
        self.output.forward(hidden.flatten(1, 2))
    }
}

/// An LSTM that reads four numbers at a time, and a linear layer on its last state.
#[derive(Module, Debug)]
pub struct LstmNet {
    lstm: Lstm,
    output: Linear,
}

/// Numbers that the LSTM reads at a time.
const READ: usize = 4;

impl Network for LstmNet {
    fn new(width: usize, device: &Device) -> Self {
        Self {
            lstm: LstmConfig::new(READ, width, true).init(device),
            output: Linear::new(&LinearConfig::new(width, CLASSES), device),
        }
    }

    fn logits(&self, sequences: Tensor<2>) -> Tensor<2> {
        let [batch, length] = sequences.dims();
        let read = sequences.reshape([batch, length / READ, READ]);
        let (_, state) = self.lstm.forward(read, None);
        self.output.forward(state.hidden)
    }
}
