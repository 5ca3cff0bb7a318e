//! A body and a way around it.

use super::conv::Conv;
use super::layer::{Buffer, Layer, Sequence};
use crate::error::Result;

/// `last(body(x)) + around(x)`, then the last convolution's ReLU if it has one: the sum costs no pass of its own.
#[derive(Debug, Clone)]
pub(crate) struct Residual {
    pub body: Sequence,
    pub last: Conv,
    pub around: Sequence,
}

impl Layer for Residual {
    fn sizes(&self) -> [usize; 2] {
        [self.body.sizes()[0], self.last.sizes()[1]]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let images = input.len() / self.sizes()[0];
        let mut hidden = Buffer::take(images * self.body.sizes()[1]);
        self.body.run(input, &mut hidden)?;
        if self.around.layers.is_empty() {
            return self.last.run_onto(&hidden, Some(input), output);
        }
        let mut around = Buffer::take(output.len());
        self.around.run(input, &mut around)?;
        self.last.run_onto(&hidden, Some(&around), output)
    }

    fn live(&self) -> usize {
        self.body.live() + self.last.live() + self.around.live()
    }

    fn bytes(&self) -> usize {
        self.body.bytes() + self.last.bytes() + self.around.bytes()
    }
}
