//! What the clones of a model share, and how it travels in a record.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::thread::ThreadId;

use burn::module::{Module, Param, ParamId};
use burn::optim::{Sgd, SgdConfig};
use burn::tensor::{Bytes, DType, Device, Int, Shape, Tensor, TensorData};
use flate2::{Compression, read::DeflateDecoder, write::DeflateEncoder};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::objective::Passes;
use crate::optim::SharpOptimizer;
use crate::perturb::{Memory, Perturbation};
use crate::sparse::{GradientMemory, MaskUpdate, Sparsity, SparsityParts, Work};
use crate::tree;

/// Masks, step and perturbation, shared by the clones of a model.
#[derive(Debug)]
pub(super) struct Shared<P>(Arc<Inner<P>>);

impl<P> Clone for Shared<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct Inner<P> {
    sparsity: RwLock<Sparsity>,
    counts: Mutex<Counts<P>>,
    /// The record's parameter.
    id: ParamId,
    device: Device,
    /// Size of the parameter: records only load into parameters of one size, the state's own varies.
    words: usize,
}

#[derive(Debug)]
struct Counts<P> {
    /// Knows perturbation, seed and step; the base optimizer is the learner's.
    optim: SharpOptimizer<P, Sgd>,
    passes: Passes,
    /// Micro-batches of this step by thread: the workers of several devices count on their own.
    batches: HashMap<ThreadId, u64>,
    /// A loaded state that waits for the model to be whole.
    loaded: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    steps: u64,
    method: serde_json::Value,
    work: Work,
    masks: usize,
    history: usize,
    memory: usize,
}

impl<P: Perturbation> Shared<P> {
    pub fn new<M: Module>(model: &M, sparsity: Sparsity, perturbation: P, seed: u64) -> Self {
        let device = tree::device(model).unwrap_or_default().without_autodiff();
        let words = capacity(model, &sparsity, perturbation.vectors()).div_ceil(4);
        let optim = SharpOptimizer::new(perturbation, SgdConfig::new().build());
        Self(Arc::new(Inner {
            sparsity: RwLock::new(sparsity),
            counts: Mutex::new(Counts {
                optim: optim.with_seed(seed),
                passes: Passes::default(),
                batches: HashMap::new(),
                loaded: None,
            }),
            id: ParamId::new(),
            device,
            words,
        }))
    }

    fn counts(&self) -> MutexGuard<'_, Counts<P>> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn steps(&self) -> u64 {
        self.counts().optim.steps()
    }

    /// The method with its masks, after a loaded state was taken over.
    pub fn settled<M: Module>(&self, model: &M) -> RwLockReadGuard<'_, Sparsity> {
        let loaded = self.counts().loaded.take();
        if let Some(bytes) = loaded {
            let taken = self.take_over(model, &bytes);
            taken.unwrap_or_else(|error| panic!("the learner's checkpoint: {error}"));
        }
        let sparsity = self.0.sparsity.read();
        sparsity.unwrap_or_else(PoisonError::into_inner)
    }

    /// The perturbation at its step, for one thread to measure with.
    pub fn measuring(&self) -> SharpOptimizer<P, Sgd> {
        self.counts().optim.clone()
    }

    /// The number of the calling thread's next micro-batch in this step.
    pub fn next_batch(&self) -> u64 {
        let mut counts = self.counts();
        let count = counts
            .batches
            .entry(std::thread::current().id())
            .or_default();
        *count += 1;
        *count - 1
    }

    /// Takes note of a measured gradient.
    pub fn measured(&self, optim: SharpOptimizer<P, Sgd>, passes: Passes) {
        let mut counts = self.counts();
        counts.passes += passes;
        counts.optim = optim;
    }

    /// Ends a step: the masks may change, and the next step begins.
    pub fn change<M: Module>(
        &self,
        model: &M,
        end: impl FnOnce(&mut Sparsity, u64, Passes) -> Result<(M, Option<MaskUpdate>)>,
    ) -> M {
        drop(self.settled(model));
        let mut counts = self.counts();
        let (step, passes) = (counts.optim.steps(), std::mem::take(&mut counts.passes));
        counts.batches.clear();
        let sparsity = self.0.sparsity.write();
        let mut sparsity = sparsity.unwrap_or_else(PoisonError::into_inner);
        let before = counts.optim.masks_to_leave(&sparsity);
        let changed = end(&mut sparsity, step, passes);
        let is_changed = matches!(changed, Ok((_, Some(_))));
        counts.optim.remember(before, &sparsity, is_changed);
        counts.optim.advance();
        changed
            .unwrap_or_else(|error| panic!("step {step}: {error}"))
            .0
    }

    /// The state as a parameter of a record, encoded only if somebody reads it.
    pub fn param(&self) -> Param<Tensor<1, Int>>
    where
        P: 'static,
    {
        let shared = self.clone();
        let init = move |device: &Device, _| {
            let bytes = shared.encoded();
            let words = bytes.chunks_exact(4);
            let words: Vec<i32> = words
                .map(|word| i32::from_le_bytes(word.try_into().expect("four bytes")))
                .collect();
            let count = [words.len()];
            Tensor::from_data(TensorData::new(words, count), (device, DType::I32))
        };
        let (id, device) = (self.0.id, self.0.device.clone());
        Param::uninitialized(id, init, device, false, Shape::new([self.0.words]))
    }

    /// Keeps what a record held until the model is whole.
    pub fn load(&self, tensor: &Tensor<1, Int>) {
        let words = tensor.to_data();
        let bytes = words.iter::<i32>().flat_map(i32::to_le_bytes).collect();
        self.counts().loaded = Some(bytes);
    }

    fn encoded(&self) -> Vec<u8> {
        // A state that was loaded and not used yet is passed on as it is.
        if let Some(bytes) = &self.counts().loaded {
            return bytes.clone();
        }
        let steps = self.steps();
        let memory = self.counts().optim.memory().to_bytes();
        let memory = memory.expect("a memory can be written");
        let sparsity = self.0.sparsity.read();
        let sparsity = sparsity.unwrap_or_else(PoisonError::into_inner);
        let parts = sparsity.to_parts().expect("a state can be written");
        let saved = Saved {
            steps,
            method: parts.method,
            work: parts.work,
            masks: parts.masks.len(),
            history: parts.history.len(),
            memory: memory.len(),
        };
        let saved = serde_json::to_vec(&saved).expect("a state is JSON");
        let mut encoder = DeflateEncoder::new(vec![0; 8], Compression::fast());
        let whole = [
            &(saved.len() as u64).to_le_bytes()[..],
            &saved,
            &parts.masks,
            &parts.history,
            &memory,
        ];
        for part in whole {
            encoder.write_all(part).expect("memory can be written");
        }
        let mut bytes = encoder.finish().expect("memory can be written");
        let length = (bytes.len() - 8) as u64;
        bytes[..8].copy_from_slice(&length.to_le_bytes());
        let room = 4 * self.0.words;
        assert!(
            bytes.len() <= room,
            "{} bytes of state in {room}",
            bytes.len()
        );
        bytes.resize(room, 0);
        bytes
    }

    fn take_over<M: Module>(&self, model: &M, bytes: &[u8]) -> Result<()> {
        let (saved, [masks, history, memory]) = decoded(bytes).ok_or_else(|| Error::Mismatch {
            what: "the state of masks",
            reason: "it is damaged".to_string(),
        })?;
        let parts = SparsityParts {
            masks: Bytes::from_bytes_vec(masks),
            history: Bytes::from_bytes_vec(history),
            method: saved.method,
            work: saved.work,
        };
        let sparsity = self.0.sparsity.write();
        let mut sparsity = sparsity.unwrap_or_else(PoisonError::into_inner);
        sparsity.load_parts(model, parts)?;
        let memory = Memory::from_bytes(Bytes::from_bytes_vec(memory), model, sparsity.masks())?;
        let mut counts = self.counts();
        counts.optim.set_steps(saved.steps);
        counts.optim.set_memory(memory);
        Ok(())
    }
}

/// What was saved, and the bytes of masks, history and memory.
fn decoded(bytes: &[u8]) -> Option<(Saved, [Vec<u8>; 3])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let mut whole = Vec::new();
    DeflateDecoder::new(rest.get(..length)?)
        .read_to_end(&mut whole)
        .ok()?;
    let (length, rest) = whole.split_first_chunk()?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
    let (saved, rest) = rest.split_at_checked(length)?;
    let saved: Saved = serde_json::from_slice(saved).ok()?;
    let (masks, history) = rest.split_at_checked(saved.masks)?;
    let (history, memory) = history.split_at_checked(saved.history)?;
    let fits = memory.len() == saved.memory;
    fits.then(|| (saved, [masks, history, memory].map(<[u8]>::to_vec)))
}

/// Bytes that the state never exceeds: four sets of a byte per position deflate to less than a bit each and a byte together,
/// numbers to no more than themselves.
fn capacity<M: Module>(model: &M, sparsity: &Sparsity, vectors: usize) -> usize {
    let (weights, method) = (sparsity.masks().prunable_weights(), sparsity.method());
    let layers = sparsity.masks().leaves().count();
    let remembered = match method.gradient_memory() {
        GradientMemory::Batch => 0,
        _ => 5 * weights,
    };
    let latent = if sparsity.has_latent_values() {
        6 * weights
    } else {
        0
    };
    let rewound = match method.rewind_step() {
        Some(_) => {
            let tensors = tree::float_leaves(model);
            5 * tensors.iter().map(tree::Leaf::len).sum::<usize>() + 512 * tensors.len()
        }
        None => 0,
    };
    let leaves = tree::leaves(model);
    // Masks may come to life anywhere, so a vector may grow to all weights of a layer.
    let vector = 5 * leaves.iter().map(tree::Leaf::len).sum::<usize>() + 512 * leaves.len();
    (1 << 15) + 1024 * layers + weights + remembered + latent + rewound + vectors * vector
}
