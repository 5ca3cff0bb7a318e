//! What a network is made of: layers on slices, and sequences of them.

use std::cell::RefCell;
use std::fmt::Debug;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::error::Result;

/// A step of a network, on any number of images at once.
pub(crate) trait Layer: Debug + Send + Sync {
    /// Numbers in an image, before and after.
    fn sizes(&self) -> [usize; 2];

    /// Writes all of `output`; both slices are whole images, and as many.
    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()>;

    /// Number of live weights.
    fn live(&self) -> usize {
        0
    }

    /// Bytes of weights, biases and of what finds the weights.
    fn bytes(&self) -> usize {
        0
    }
}

/// Layers one after another; none leave an image as it is.
#[derive(Debug, Clone)]
pub(crate) struct Sequence {
    pub image: usize,
    pub layers: Vec<Arc<dyn Layer>>,
}

impl Layer for Sequence {
    fn sizes(&self) -> [usize; 2] {
        let last = self.layers.last().map(|layer| layer.sizes()[1]);
        [self.image, last.unwrap_or(self.image)]
    }

    fn run(&self, input: &[f32], output: &mut [f32]) -> Result<()> {
        let Some((last, before)) = self.layers.split_last() else {
            output.copy_from_slice(input);
            return Ok(());
        };
        let mut hidden: Option<Buffer> = None;
        for layer in before {
            let from = hidden.as_deref().unwrap_or(input);
            let [inputs, outputs] = layer.sizes();
            let mut to = Buffer::take(from.len() / inputs * outputs);
            layer.run(from, &mut to)?;
            hidden = Some(to);
        }
        last.run(hidden.as_deref().unwrap_or(input), output)
    }

    fn live(&self) -> usize {
        self.layers.iter().map(|layer| layer.live()).sum()
    }

    fn bytes(&self) -> usize {
        self.layers.iter().map(|layer| layer.bytes()).sum()
    }
}

thread_local! {
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// What a layer writes, in memory that goes back to its thread when dropped: clearing it, or getting it from the system, would
/// take as long as a layer of few weights. It holds what it held before.
pub(crate) struct Buffer {
    memory: Vec<f32>,
    length: usize,
}

impl Buffer {
    pub fn take(length: usize) -> Self {
        let mut memory = FREE.with_borrow_mut(Vec::pop).unwrap_or_default();
        if memory.len() < length {
            memory.resize(length, 0.0);
        }
        if cfg!(debug_assertions) {
            // A layer that leaves a number unwritten shows itself.
            memory[..length].fill(f32::NAN);
        }
        Self { memory, length }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.memory[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.memory[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // A thread that is ending has no memory to give back to.
        let memory = std::mem::take(&mut self.memory);
        let _ = FREE.try_with(|free| free.borrow_mut().push(memory));
    }
}
